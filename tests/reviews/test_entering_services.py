"""What enters the queue, in which order it is handed out, and what an edit or a withdrawal does to it."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.models import Submission
from portal.feedback.services import submit_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.reviews.models import ContributorRecord, DailyCount, Event, QueuePolicy, ReviewItem
from portal.reviews.queries.entry import in_sample
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.services.claims import claim_next
from portal.reviews.services.verdicts import (
    ClaimLost,
    Judgement,
    record_verdict,
)
from portal.reviews.settling import ItemState
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.reviews.desk import give_verdict, item_of, work

pytestmark = pytest.mark.django_db
COPIED = "This answer repeats the same three sentences over and over until the limit of tokens."


def rules(**changes: object) -> None:
    QueuePolicy.objects.filter(is_current=True).update(**changes)


def test_a_submission_enters_with_its_facts(alice: User) -> None:
    submission = judge(alice, thumb="down", comment="The second arm is missing.")
    item = item_of(submission)
    assert (item.state, item.needed, item.entered_by) == (ItemState.WAITING, 2, "flagged")
    assert (item.variant_id, item.card_id, item.thumb) == (submission.variant_id, submission.card_id, "down")
    assert DailyCount.objects.get(flow="entered").count == 1
    given = Event.objects.filter(target__in=["feedback.submission", "reviews.reviewitem"]).order_by("id")
    assert list(given.values_list("target", "action", "actor_id")) == [
        ("feedback.submission", "given", alice.pk),
        ("reviews.reviewitem", "entered", None),
    ]


def test_without_a_rule_that_fits_nothing_enters(alice: User) -> None:
    rules(enter_all=False)
    judge(alice)
    assert not ReviewItem.objects.exists()
    assert ContributorRecord.objects.get(owner=alice).given == 1


def test_people_who_disagree_bring_in_each_other(alice: User, bob: User) -> None:
    rules(enter_all=False, enter_flagged=False)
    generation = make_generation(alice)
    praise = judge(alice, generation)
    assert not ReviewItem.objects.exists()
    # Bob judges Alice's answer, as people who share a conversation will.
    generation.conversation.owner = bob
    generation.conversation.save()
    judge(bob, generation, thumb="down")
    assert item_of(praise).entered_by == "disagreement"
    assert ReviewItem.objects.count() == 2
    assert set(ContributorRecord.objects.values_list("given", flat=True)) == {1}, "coming in later is not giving again"


def test_the_sample_is_drawn_by_the_id_and_has_its_size() -> None:
    submissions = [Submission(pk=uuid.UUID(int=number * 7919)) for number in range(4_000)]
    drawn = [each for each in submissions if in_sample(each, Decimal("12.5"))]
    assert 430 < len(drawn) < 570
    assert drawn == [each for each in submissions if in_sample(each, Decimal("12.5"))]
    assert not any(in_sample(each, Decimal(0)) for each in submissions)
    assert all(in_sample(each, Decimal(100)) for each in submissions)


def test_an_edit_sets_earlier_verdicts_aside(alice: User, reviewer: User) -> None:
    submission = judge(alice)
    item = item_of(submission)
    review = give_verdict(reviewer, item)
    submit_feedback(Actor(user=alice), submission.generation, {"thumb": "down"})
    item.refresh_from_db()
    review.refresh_from_db()
    assert (item.state, item.verdict_count, item.thumb, item.submission_version) == (ItemState.WAITING, 0, "down", 2)
    assert review.superseded_by == "edited"
    assert claim_next(reviewer) == item


def test_withdrawing_closes_the_item_and_deletes_what_could_show_the_words(
    alice: User, reviewer: User, second_reviewer: User
) -> None:
    submission = judge(alice, comment=COPIED)
    item = item_of(submission)
    assert item.text_bands.exists()
    give_verdict(reviewer, item)
    held = claim_next(second_reviewer)
    assert held is not None
    withdraw_feedback(Actor(user=alice), submission.generation)
    item.refresh_from_db()
    assert (item.state, item.thumb) == (ItemState.WITHDRAWN, "")
    assert not item.text_bands.exists()
    with pytest.raises(ClaimLost, match="withdrawn"):
        record_verdict(second_reviewer, held.pk, held.claim_number, Judgement("accept"))
    assert COPIED not in str(list(Event.objects.values()))
    submit_feedback(Actor(user=alice), submission.generation, {"thumb": "up"})
    item.refresh_from_db()
    assert (item.state, item.verdict_count) == (ItemState.WAITING, 0)


GERMAN, FRENCH = (
    "Die Antwort nennt den zweiten Arm der Waage nicht, und das Gewicht fehlt auch.",
    "La réponse ne dit rien du second bras de la balance, et le poids manque aussi.",
)


def test_what_entered_is_counted_once_where_it_is_whatever_is_withdrawn_and_given_again(alice: User) -> None:
    def entered() -> dict[str, int]:
        rows = DailyCount.objects.filter(flow="entered").values_list("language", "count")
        return {language: count for language, count in rows if count}

    def say(words: str) -> None:
        submit_feedback(Actor(user=alice), submission.generation, {"thumb": "up", "comment": words})

    submission = judge(alice, comment=GERMAN)
    assert entered() == {"de": 1}
    withdraw_feedback(Actor(user=alice), submission.generation)
    assert entered() == {"": 1}
    for words, language in ((FRENCH, "fr"), (GERMAN, "de")):
        say(words)
        assert entered() == {language: 1}


def test_trust_orders_the_queue_and_nothing_more(alice: User, bob: User, reviewer: User) -> None:
    ContributorRecord.objects.create(owner=alice, spam=4)
    ContributorRecord.objects.create(owner=bob, accepted=30)
    low, high = item_of(judge(alice)), item_of(judge(bob))
    assert low.priority < 0 < high.priority
    assert claim_next(reviewer) == high
    assert work(reviewer) == high
    assert claim_next(reviewer) == low


def test_copies_and_near_copies_are_marked(alice: User, bob: User, charlie: User) -> None:
    first = judge(alice, comment=COPIED)
    near = judge(charlie, comment=COPIED.upper() + " Really.")
    assert item_of(first).signs == []
    assert item_of(near).signs == ["near-copy"]


def test_filters_narrow_what_is_claimed(alice: User, reviewer: User) -> None:
    judge(alice)
    wanted = item_of(judge(alice, make_generation(alice, variant=make_variant("smol/other"))))
    assert wanted.card_id is not None
    assert claim_next(reviewer, QueueFilters(card=wanted.card_id)) == wanted
