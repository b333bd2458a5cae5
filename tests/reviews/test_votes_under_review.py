"""Votes under review: entered by the same rules, judged blind, read by rankings and exports, withdrawn."""

from __future__ import annotations

import uuid

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.arena.models import Comparison, Contest, Kind, Outcome, VoidReason, Vote
from portal.arena.ranking import Filters
from portal.arena.review_states import ReviewState
from portal.arena.voting import vote_on_battle, vote_side_by_side
from portal.arena.withdrawing import withdraw_vote
from portal.catalog.models import Variant
from portal.exports.criteria import Criteria
from portal.exports.models import Change
from portal.exports.tables.comparisons import selected_votes
from portal.reviews.models import ContributorRecord, DailyCount, Event, Inquiry, Notice, QueuePolicy, ReviewItem
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.items import list_items
from portal.reviews.queries.measuring import ItemReader
from portal.reviews.queries.overview import overview
from portal.reviews.services.abuse import Person, block_contributor
from portal.reviews.services.bulk import judge_many
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.entering import answer_inquiry
from portal.reviews.services.verdicts import ClaimLost, Judgement, record_verdict
from portal.reviews.settling import ItemState
from tests.arena.contests import make_contest
from tests.feedback.judgements import judge
from tests.playground.turns import make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def variants(db: None) -> list[Variant]:
    return [make_variant("smol/lm2"), make_variant("other/tiny")]


def cast(
    owner: User, variants: list[Variant], outcome: Outcome = Outcome.A, prompt: str = "Hello", **more: str
) -> Vote:
    contest = make_contest(owner, variants, prompt=prompt)
    return vote_on_battle(Actor(user=owner, **more), contest, outcome)  # type: ignore[arg-type]


def item_of_vote(vote: Vote) -> ReviewItem:
    return ReviewItem.objects.get(vote=vote)


def rules(**changes: object) -> None:
    QueuePolicy.objects.filter(is_current=True).update(**changes)


def test_a_vote_enters_with_its_facts_its_count_and_its_history(alice: User, variants: list[Variant]) -> None:
    vote = cast(alice, variants)
    item = item_of_vote(vote)
    assert (item.state, item.needed, item.entered_by) == (ItemState.WAITING, 2, "all")
    assert (item.target_kind, item.questionnaire, item.variant_id, item.card_id) == (
        "battle",
        "vote:battle",
        None,
        None,
    )
    assert ContributorRecord.objects.get(owner=alice).given == 1
    assert DailyCount.objects.get(flow="entered", questionnaire="vote:battle").count == 1
    written = Event.objects.filter(target__in=["arena.vote", "reviews.reviewitem"]).order_by("id")
    assert list(written.values_list("target", "action", "actor_id")) == [
        ("arena.vote", "given", alice.pk),
        ("reviews.reviewitem", "entered", None),
    ]
    page = overview(QueueFilters())
    assert page.entered == 1
    [line] = next(each for each in page.breakdowns if each.title == "Questionnaire").lines
    assert (line.label, line.count) == ("Votes in battles", 1)


def test_one_card_at_two_precisions_is_the_items_card(alice: User) -> None:
    both = [make_variant("smol/lm2"), make_variant("smol/lm2", "int4")]
    assert item_of_vote(cast(alice, both)).card == both[0].card


def test_each_vote_of_a_side_by_side_is_an_item(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, [*variants, make_variant("third/one")], Kind.SIDE_BY_SIDE)
    vote_side_by_side(Actor(user=alice), contest, 1, 0, ["correct"])
    assert set(ReviewItem.objects.values_list("target_kind", "questionnaire")) == {
        ("side_by_side", "vote:side-by-side")
    }
    assert ReviewItem.objects.count() == 2


def test_by_the_rules_a_flagged_vote_enters_and_a_plain_one_does_not(alice: User, variants: list[Variant]) -> None:
    rules(enter_all=False)
    assert not ReviewItem.objects.filter(vote=cast(alice, variants)).exists()
    assert item_of_vote(cast(alice, variants, Outcome.BOTH_BAD)).entered_by == "flagged"
    asked = cast(alice, variants, prompt="Which model are you?")
    assert asked.void_reason == VoidReason.IDENTITY_ASKED
    assert item_of_vote(asked).entered_by == "flagged"
    rules(sample_percent=100)
    assert item_of_vote(cast(alice, variants)).entered_by == "sample"


def test_two_who_prefer_different_variants_on_one_prompt_bring_in_each_other(
    alice: User, bob: User, variants: list[Variant]
) -> None:
    rules(enter_all=False, enter_flagged=False)
    first = cast(alice, variants, Outcome.A, "Which is heavier?")
    assert cast(bob, variants, Outcome.A, "Which is heavier?")
    assert cast(bob, variants, Outcome.B, "Another prompt")
    assert not ReviewItem.objects.exists(), "the same preference, or another prompt, is no disagreement"
    # The sides are turned: the right one is the variant that stood on the left before.
    assert cast(bob, variants[::-1], Outcome.A, "Which is heavier?")
    assert item_of_vote(first).entered_by == "disagreement"
    assert ReviewItem.objects.count() == 2, "one's own earlier vote is not the other side"


def test_one_person_who_votes_both_ways_is_no_disagreement(alice: User, variants: list[Variant]) -> None:
    rules(enter_all=False, enter_flagged=False)
    cast(alice, variants, Outcome.A)
    cast(alice, variants, Outcome.B)
    assert not ReviewItem.objects.exists()


def test_two_who_agree_decide_it_and_rankings_exports_and_the_voter_read_it(
    alice: User, reviewer: User, second_reviewer: User, variants: list[Variant]
) -> None:
    vote = cast(alice, variants)
    accepted = Filters(pool="models", accepted_only=True)
    assert not accepted.votes().exists()
    item = item_of_vote(vote)
    give_verdict(reviewer, item)
    vote.refresh_from_db()
    assert vote.review_state == ReviewState.IN_REVIEW
    give_verdict(second_reviewer, item)
    vote.refresh_from_db()
    assert (item.state, item.outcome, vote.review_state) == (ItemState.DECIDED, "accept", ReviewState.ACCEPTED)
    assert accepted.votes().get() == vote
    assert selected_votes(Criteria(review_state=("accepted",))).get() == vote
    assert ContributorRecord.objects.get(owner=alice).accepted == 1
    assert Notice.objects.get().url == vote.comparison.get_absolute_url()  # type: ignore[union-attr]


@pytest.mark.parametrize(("verdict", "state"), [("reject", "rejected"), ("spam", "spam")])
def test_what_reviewers_set_aside_is_not_ranked_and_the_voter_reads_why(
    verdict: str, state: str, alice: User, reviewer: User, second_reviewer: User, variants: list[Variant]
) -> None:
    vote = cast(alice, variants)
    for each in (reviewer, second_reviewer):
        give_verdict(each, item_of_vote(vote), verdict)
    vote.refresh_from_db()
    assert (vote.review_state, vote.is_ranked) == (state, False)
    assert not Filters(pool="models").votes().exists()
    assert bool(vote.review_reason) is (verdict == "reject")


def test_a_vote_repeats_a_vote_and_no_submission(
    alice: User, reviewer: User, second_reviewer: User, variants: list[Variant]
) -> None:
    vote, other = item_of_vote(cast(alice, variants)), item_of_vote(cast(alice, variants))
    said = item_of(judge(alice))
    with pytest.raises(ValidationError, match="repeats a vote"):
        give_verdict(reviewer, vote, "duplicate", duplicate_of=said.pk)
    assert give_verdict(second_reviewer, other, "duplicate", duplicate_of=vote.pk).duplicate_of == vote


def test_nobody_reviews_their_own_vote(reviewer: User, second_reviewer: User, variants: list[Variant]) -> None:
    item = item_of_vote(cast(reviewer, variants))
    assert claim_next(reviewer) is None
    assert not claim_item(reviewer, item)
    assert judge_many(reviewer, [item.pk], Judgement("accept")).done == 0
    assert claim_next(second_reviewer) == item
    Vote.objects.update(owner=second_reviewer)
    item.refresh_from_db()
    with pytest.raises(ClaimLost, match="your own"):
        record_verdict(second_reviewer, item.pk, item.claim_number, Judgement("accept"))


def test_a_voter_is_asked_and_answers(
    alice: User, alice_client: Client, reviewer: User, variants: list[Variant]
) -> None:
    vote = cast(alice, variants)
    give_verdict(reviewer, item_of_vote(vote), "question")
    vote.refresh_from_db()
    assert (vote.review_state, vote.review_reason) == ("needs_information", "Which answer do you mean?")
    assert "Which answer do you mean?" in alice_client.get(reverse("reviews:questions")).text
    inquiry = Inquiry.objects.get()
    assert answer_inquiry(vote, inquiry, "The left one.")
    assert item_of_vote(vote).state == ItemState.WAITING


def test_withdrawing_leaves_a_tombstone_that_nothing_counts(
    alice: User, reviewer: User, variants: list[Variant]
) -> None:
    vote = cast(alice, variants, network="192.0.2.1")
    assert vote.network_digest
    held = claim_next(reviewer)
    assert held is not None
    contest = Contest.objects.get()
    assert withdraw_vote(Actor(user=alice), contest, 1) == 1
    assert withdraw_vote(Actor(user=alice), contest, 1) == 0
    vote.refresh_from_db()
    assert (vote.outcome, vote.reasons, vote.prompt_digest, vote.network_digest) == ("", [], "", "")
    assert vote.variant_a == variants[0], "that there was a vote, on what and when, remains"
    assert item_of_vote(vote).state == ItemState.WITHDRAWN
    with pytest.raises(ClaimLost, match="withdrawn"):
        record_verdict(reviewer, held.pk, held.claim_number, Judgement("accept"))
    assert not Filters(pool="models").votes().exists()
    assert not selected_votes(Criteria()).exists()
    assert Change.objects.filter(record_id=vote.pk).last().change == "withdrawn"  # type: ignore[union-attr]
    assert Event.objects.filter(target="arena.vote", action="withdrawn", target_id=str(vote.pk)).count() == 1


def test_others_cannot_withdraw_a_vote_and_the_voter_can_by_a_button(
    alice: User, alice_client: Client, bob_client: Client, variants: list[Variant]
) -> None:
    vote = cast(alice, variants)
    contest = Contest.objects.get()
    address = reverse("arena:withdraw_vote", args=[contest.pk, 1])
    for client in (bob_client, Client()):
        assert client.post(address).status_code == 404
    assert alice_client.get(address).status_code == 405
    assert f'action="{address}"' in alice_client.get(contest.get_absolute_url()).text
    page = alice_client.post(address, follow=True)
    assert "You withdrew your vote" in page.text
    vote.refresh_from_db()
    assert vote.is_withdrawn


def test_deleting_the_texts_keeps_the_item_and_forgets_the_network(
    alice: User, reviewer_client: Client, variants: list[Variant]
) -> None:
    vote = cast(alice, variants, network="192.0.2.1")
    Contest.objects.get().delete()
    vote.refresh_from_db()
    assert (vote.network_digest, vote.outcome) == ("", Outcome.A)
    page = reviewer_client.get(item_of_vote(vote).get_absolute_url())
    assert "Their owner deleted the texts" in page.text


def test_who_is_blocked_does_not_vote_and_the_battle_stays_blind(
    alice: User, operator: User, variants: list[Variant]
) -> None:
    block_contributor(operator, Person(user=alice), "Votes for hire")
    contest = make_contest(alice, variants)
    with pytest.raises(PermissionDenied, match="Votes for hire"):
        vote_on_battle(Actor(user=alice), contest, Outcome.A)
    contest.refresh_from_db()
    assert contest.is_blind
    assert not Vote.objects.exists()
    assert not Comparison.objects.exists()


def test_the_page_is_blind_until_the_verdict_and_named_after_it(
    alice: User, reviewer: User, reviewer_client: Client, variants: list[Variant]
) -> None:
    item = item_of_vote(cast(alice, variants))
    # The list and not its filters, which name every card.
    listed = reviewer_client.get(reverse("reviews:queue")).text.partition("<tbody>")[2]
    claim_item(reviewer, item)
    item.refresh_from_db()
    page = reviewer_client.get(item.get_absolute_url()).text
    for text in (listed, page):
        assert "smol/lm2" not in text
        assert "other/tiny" not in text
        assert "A is better" in text
    assert "Answer A." in page
    assert "Answer B." in page
    assert reviewer_client.get(reverse("reviews:inside", args=[item.pk, 1])).status_code == 404
    sent = {"claim": item.claim_number, "verdict": "accept"}
    after = reviewer_client.post(reverse("reviews:verdict", args=[item.pk]), sent, follow=True)
    assert "A was smol/lm2" in after.text
    assert "smol/lm2" in reviewer_client.get(item.get_absolute_url()).text


def test_an_item_of_a_vote_does_not_exist_for_contributors_and_strangers(
    alice: User, alice_client: Client, variants: list[Variant]
) -> None:
    item = item_of_vote(cast(alice, variants))
    for client in (alice_client, Client()):
        assert client.get(item.get_absolute_url()).status_code == 404


def test_a_longer_list_of_votes_costs_no_more_queries(alice: User, reviewer: User, variants: list[Variant]) -> None:
    for _ in range(3):
        cast(alice, variants)
    judge(alice)

    def cost(rows: int) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = list_items(ItemReader(reviewer), QueueFilters(), per_page=rows)
            assert len(page.items) == rows
            assert all(item.subject.pk for item in page.items)
        return len(queries)

    cost(1)
    assert cost(2) == cost(4)


def test_the_queue_is_narrowed_to_votes_and_a_vote_is_found_by_its_id(
    alice: User, reviewer: User, variants: list[Variant]
) -> None:
    vote = cast(alice, variants)
    judge(alice)
    assert [each.vote for each in list_items(ItemReader(reviewer), QueueFilters(about="battle")).items] == [vote]
    assert QueueFilters.from_query({"about": "nonsense"}).about == ""
    assert isinstance(vote.pk, uuid.UUID)
