"""Much at once beside other work, in threads with connections of their own: no deadlock, nothing lost."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_save

from portal.accounts import writing_turns
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.arena.models import Outcome
from portal.arena.voting import vote_on_battle
from portal.feedback.withdrawing import withdraw_everything, withdraw_submission
from portal.reviews.models import ContributorRecord, DailyCount, Event, QueuePolicy, Review, ReviewItem
from portal.reviews.services.abuse import Person, quarantine_contributor, revert_reviewer
from portal.reviews.services.bulk import judge_many, quarantine
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.settlement import lock_item
from portal.reviews.services.verdicts import ClaimLost, Judgement, record_verdict, write_verdict
from portal.reviews.services.waiting import apply_needed_reviews
from portal.reviews.settling import ItemState, settle
from tests.arena.contests import make_contest
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.feedback.test_submitting_concurrently import at_once
from tests.reviews.desk import item_of

pytestmark = pytest.mark.django_db(transaction=True)
ITEMS = 25


@pytest.fixture
def reviewers(make_user: Callable[..., User]) -> list[User]:
    return [make_user(f"reviewer{number}", Role.REVIEWER) for number in range(4)]


@pytest.fixture(autouse=True)
def _without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns as they are, without the pauses between them."""
    monkeypatch.setattr(writing_turns, "_REST_S", 0.0)


def all_as_their_verdicts_say() -> None:
    for item in ReviewItem.objects.select_related("submission"):
        expected = settle(
            item.live_verdicts(),
            item.needed,
            is_withdrawn=item.subject.is_withdrawn,
            is_quarantined=item.is_quarantined,
        )
        assert (item.state, item.outcome) == (expected.state, expected.outcome)
    decided = sum(DailyCount.objects.exclude(flow="entered").values_list("count", flat=True))
    records = ContributorRecord.objects.all()
    assert decided == sum(each.accepted + each.rejected + each.duplicates + each.spam for each in records)


def test_verdicts_on_many_beside_claims_and_withdrawals_lose_nothing(
    alice: User, bob: User, operator: User, reviewers: list[User], settings: Any
) -> None:
    settings.FEEDBACK_RATE = "100000/minute"
    submissions = [judge((alice, bob)[number % 2]) for number in range(ITEMS)]
    numbers = [item_of(each).pk for each in submissions]

    def judges_all(person: User, verdict: str) -> int:
        return judge_many(person, numbers, Judgement(verdict)).done

    def works(person: User) -> int:
        given = 0
        for number in reversed(numbers):
            if claim_item(person, ReviewItem.objects.get(pk=number)) and (item := claim_next(person)):
                with contextlib.suppress(ClaimLost):
                    record_verdict(person, item.pk, item.claim_number, Judgement("accept"))
                    given += 1
        return given

    def withdraws() -> int:
        for submission in submissions[::-2]:
            withdraw_submission(Actor(user=alice), submission.pk)
        return 0

    def takes_out_and_lets_in() -> int:
        quarantine(operator, numbers)
        quarantine(operator, numbers, release=True)
        return 0

    results = at_once(
        lambda: judges_all(reviewers[0], "accept"),
        lambda: judges_all(reviewers[1], "spam"),
        lambda: works(reviewers[2]),
        lambda: works(reviewers[3]),
        withdraws,
        lambda: withdraw_everything(Actor(user=bob)) * 0,
        takes_out_and_lets_in,
    )
    assert all(isinstance(result, int) for result in results), results
    assert Review.objects.count() == sum(results) == Event.objects.filter(action="verdict").count()  # type: ignore[arg-type]
    all_as_their_verdicts_say()


def test_who_withdraws_everything_at_the_same_moment_about_the_same_cards_waits_for_nobody_forever(
    alice: User, bob: User
) -> None:
    variants = [make_variant(f"smol/lm{number}") for number in range(8)]
    said = "This answer explains the whole matter in a few plain words."
    for person, order in ((alice, variants), (bob, variants[::-1])):
        for variant in order:
            judge(person, make_generation(person, variant=variant), comment=said)
    assert set(DailyCount.objects.filter(flow="entered").values_list("language", flat=True)) == {"en"}
    results = at_once(*(lambda who=who: withdraw_everything(Actor(user=who)) for who in (alice, bob)))
    assert results == [len(variants), len(variants)]
    # All are counted where nothing says what they were about.
    rows = DailyCount.objects.filter(flow="entered")
    assert sum(rows.filter(language="en").values_list("count", flat=True)) == 0
    assert sum(rows.filter(language="").values_list("count", flat=True)) == 2 * len(variants)


def test_a_new_number_of_reviewers_beside_verdicts_and_withdrawals_counts_each_item_once(
    alice: User, maintainer: User, reviewers: list[User]
) -> None:
    submissions = [judge(alice) for _ in range(ITEMS // 2)]
    numbers = [item_of(each).pk for each in submissions]
    judge_many(reviewers[0], numbers[::2], Judgement("accept"))
    QueuePolicy.objects.filter(is_current=True).update(needed_reviews=1)

    def withdraws() -> int:
        for submission in submissions[::-5]:
            withdraw_submission(Actor(user=alice), submission.pk)
        return 0

    results = at_once(
        lambda: apply_needed_reviews(maintainer, 1).changed,
        lambda: apply_needed_reviews(maintainer, 1).changed,
        lambda: judge_many(reviewers[1], numbers, Judgement("accept")).done * 0,
        withdraws,
    )
    assert all(isinstance(result, int) for result in results), results
    assert sum(results) == Event.objects.filter(target="reviews.reviewitem", action="changed").count()  # type: ignore[arg-type]
    apply_needed_reviews(maintainer, 1)
    all_as_their_verdicts_say()
    assert not ReviewItem.objects.filter(state=ItemState.WAITING).exclude(needed=1, verdict_count=0).exists()


@pytest.mark.parametrize("broken_at", [0, 1, 13])
def test_a_quarantine_that_broke_off_keeps_what_it_did_and_is_finished_by_asking_again(
    alice: User, operator: User, broken_at: int
) -> None:
    numbers = {item_of(judge(alice)).pk for _ in range(ITEMS)}

    def break_off(instance: Event, **_sent: Any) -> None:
        if instance.action == "quarantined" and Event.objects.filter(action="quarantined").count() > broken_at:
            raise ConnectionError

    post_save.connect(break_off, Event)
    try:
        with pytest.raises(ConnectionError):
            quarantine_contributor(operator, Person(user=alice))
    finally:
        post_save.disconnect(break_off, Event)
    out = ReviewItem.objects.filter(state=ItemState.QUARANTINED)
    assert out.count() == broken_at, "each whole, and nothing of the one that broke"
    assert quarantine_contributor(operator, Person(user=alice)) == ITEMS - broken_at
    assert set(out.values_list("pk", flat=True)) == numbers
    assert Event.objects.filter(action="quarantined").count() == ITEMS
    assert quarantine(operator, numbers, release=True) == ITEMS
    assert not out.exists()


def test_a_quarantine_and_a_revert_let_others_write_between_their_turns(
    alice: User, bob: User, operator: User, reviewers: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [item_of(judge(alice)).pk for _ in range(ITEMS)]
    judge_many(reviewers[0], numbers, Judgement("accept"))
    given: list[object] = []

    def others_write() -> None:
        # From another connection, as another process would; within a turn SQLite would keep it waiting.
        given.extend(at_once(lambda: judge(bob)))

    monkeypatch.setattr(writing_turns, "let_others_write", others_write)
    assert quarantine_contributor(operator, Person(user=alice)) == ITEMS
    assert revert_reviewer(operator, reviewers[0]) == ITEMS
    turns = -(-ITEMS // writing_turns.TURN)
    assert [type(each).__name__ for each in given] == ["Submission"] * 2 * (turns - 1)
    assert set(ReviewItem.objects.filter(submission__owner=bob).values_list("state", flat=True)) == {"waiting"}


def test_two_verdicts_that_name_each_others_items_as_the_same_are_both_given(
    alice: User, reviewers: list[User]
) -> None:
    one, other = item_of(judge(alice)), item_of(judge(alice))
    both_hold_theirs = threading.Barrier(2)

    def says_same(person: User, item: ReviewItem, as_this: ReviewItem) -> Review:
        with transaction.atomic():
            locked, subject = lock_item(item.pk)
            if connection.vendor != "sqlite":
                # There one has to wait for the other to be done.
                both_hold_theirs.wait(60)
            return write_verdict(
                locked, subject, person, {"verdict": "duplicate", "duplicate_of_id": as_this.pk}, is_bulk=True
            )

    results = at_once(lambda: says_same(reviewers[0], one, other), lambda: says_same(reviewers[1], other, one))
    assert all(isinstance(result, Review) for result in results), results


def test_votes_that_bring_in_each_other_at_the_same_moment_are_all_counted(
    alice: User, bob: User, settings: Any
) -> None:
    settings.VOTE_RATE = "100000/minute"
    QueuePolicy.objects.filter(is_current=True).update(enter_all=False, enter_flagged=False)
    variants = [make_variant(), make_variant("other/tiny")]

    def votes(person: User, outcome: Outcome, prompts: list[str]) -> int:
        contests = [make_contest(person, variants, prompt=prompt) for prompt in prompts]
        for contest in contests:
            vote_on_battle(Actor(user=person), contest, outcome)
        return len(contests)

    of_alice, of_bob = ([f"{name} {uuid.uuid4()}" for _ in range(6)] for name in "ab")
    votes(alice, Outcome.A, of_alice)
    votes(bob, Outcome.A, of_bob)
    assert not ReviewItem.objects.exists()
    results = at_once(lambda: votes(alice, Outcome.B, of_bob), lambda: votes(bob, Outcome.B, of_alice))
    assert results == [6, 6]
    assert ReviewItem.objects.count() == 24
    assert sum(DailyCount.objects.filter(flow="entered").values_list("count", flat=True)) == 24
    assert set(ContributorRecord.objects.values_list("given", flat=True)) == {12}
