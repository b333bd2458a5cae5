"""What verdicts make of an item: rules, and properties that hold for any verdicts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portal.reviews.settling import ItemState, Kind, LiveVerdict, Settlement, Verdict, settle

ACCEPT = LiveVerdict(Kind.INDEPENDENT, Verdict.ACCEPT)
REJECT = LiveVerdict(Kind.INDEPENDENT, Verdict.REJECT)


def test_it_waits_until_enough_have_spoken() -> None:
    assert settle([], 2) == Settlement(ItemState.WAITING)
    assert settle([ACCEPT], 2) == Settlement(ItemState.WAITING, verdicts=1)
    assert settle([ACCEPT, ACCEPT], 2) == Settlement(ItemState.DECIDED, "accept", 2)
    assert settle([REJECT], 1) == Settlement(ItemState.DECIDED, "reject", 1)


def test_disagreement_waits_for_a_third_who_decides() -> None:
    assert settle([ACCEPT, REJECT], 2) == Settlement(ItemState.ADJUDICATION, verdicts=2)
    third = LiveVerdict(Kind.ADJUDICATION, Verdict.REJECT)
    assert settle([ACCEPT, REJECT, third], 2) == Settlement(ItemState.DECIDED, "reject", 2)


def test_duplicates_of_two_things_are_a_disagreement() -> None:
    one, other = (LiveVerdict(Kind.INDEPENDENT, Verdict.DUPLICATE, key) for key in (7, 8))
    assert settle([one, one], 2).state == ItemState.DECIDED
    assert settle([one, other], 2).state == ItemState.ADJUDICATION


def test_a_question_comes_before_other_verdicts_and_escalation_before_the_next_reviewer() -> None:
    question = LiveVerdict(Kind.INDEPENDENT, Verdict.QUESTION)
    escalate = LiveVerdict(Kind.INDEPENDENT, Verdict.ESCALATE)
    assert settle([ACCEPT, question], 2).state == ItemState.QUESTION
    assert settle([escalate], 2) == Settlement(ItemState.ADJUDICATION, verdicts=1, needs_maintainer=True)


live_verdicts = st.builds(
    LiveVerdict, st.just(Kind.INDEPENDENT), st.sampled_from(Verdict), st.one_of(st.none(), st.integers(1, 3))
)


@given(st.lists(live_verdicts, max_size=5), st.integers(1, 5), st.randoms(), st.booleans(), st.booleans())
def test_any_order_settles_the_same_and_decided_means_agreed(
    verdicts: list[LiveVerdict], needed: int, random: object, withdrawn: bool, quarantined: bool
) -> None:
    found = settle(verdicts, needed, is_withdrawn=withdrawn, is_quarantined=quarantined)
    shuffled = list(verdicts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert settle(shuffled, needed, is_withdrawn=withdrawn, is_quarantined=quarantined) == found
    assert (found.state == ItemState.DECIDED) is bool(found.outcome)
    if found.state == ItemState.DECIDED:
        assert len(verdicts) >= needed
        assert {each.verdict for each in verdicts} == {found.outcome}
    assert (found.state == ItemState.WITHDRAWN) is withdrawn
