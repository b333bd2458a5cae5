"""Entering, claiming, judging, undoing: what each does to the item, the submission, the counts and the history."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import DatabaseError
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.models import ReviewState, Submission
from portal.feedback.services import submit_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.reviews.models import ContributorRecord, DailyCount, Event, Inquiry, Notice, QueuePolicy, Review, ReviewItem
from portal.reviews.models.history import HistoryIsAppendOnly
from portal.reviews.queries.entry import in_sample
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.entering import answer_inquiry
from portal.reviews.services.verdicts import (
    ClaimLost,
    Judgement,
    UndoRefused,
    mark_gold,
    record_verdict,
    reopen_item,
    undo_verdict,
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


def test_two_who_agree_decide_and_the_contributor_hears_of_it(
    alice: User, reviewer: User, second_reviewer: User
) -> None:
    submission = judge(alice)
    give_verdict(reviewer, item_of(submission))
    submission.refresh_from_db()
    assert submission.review_state == ReviewState.IN_REVIEW
    assert not Notice.objects.exists()
    give_verdict(second_reviewer, item_of(submission))
    submission.refresh_from_db()
    item = item_of(submission)
    assert (item.state, item.outcome, item.verdict_count) == (ItemState.DECIDED, "accept", 2)
    assert submission.review_state == ReviewState.ACCEPTED
    assert ContributorRecord.objects.get(owner=alice).accepted == 1
    assert DailyCount.objects.get(flow="accept").count == 1
    assert Notice.objects.get().owner == alice


def test_two_who_disagree_wait_for_a_third_who_decides(
    alice: User, reviewer: User, second_reviewer: User, third_reviewer: User
) -> None:
    submission = judge(alice)
    item = item_of(submission)
    give_verdict(reviewer, item)
    give_verdict(second_reviewer, item, "reject")
    assert item.state == ItemState.ADJUDICATION
    assert claim_next(reviewer) is None, "who has spoken is no third person"
    assert claim_next(second_reviewer) is None
    give_verdict(third_reviewer, item, "reject", reason="unclear")
    assert (item.state, item.outcome, item.reason) == (ItemState.DECIDED, "reject", "unclear")
    submission.refresh_from_db()
    assert submission.review_state == ReviewState.REJECTED
    assert submission.review_reason == "Not understandable"


def test_nobody_reviews_their_own_not_even_what_they_gave_before_signing_in(
    reviewer: User, alice: User, visitor: uuid.UUID
) -> None:
    judge(reviewer)
    anonymous = judge(visitor)
    assert claim_next(reviewer) is not None
    # The browser of that visitor turns out to be the reviewer's: what they hold goes with it.
    Submission.objects.filter(pk=anonymous.pk).update(owner=reviewer, visitor=None)
    item = item_of(anonymous)
    with pytest.raises(ClaimLost, match="your own"):
        record_verdict(reviewer, item.pk, item.claim_number, Judgement("accept"))
    ReviewItem.objects.update(claimed_by=None, claimed_at=None, claim_expires_at=None)
    assert claim_next(reviewer) is None
    assert not Review.objects.exists()


def test_a_claim_keeps_others_away_until_it_expires(alice: User, reviewer: User, second_reviewer: User) -> None:
    first, second = item_of(judge(alice)), item_of(judge(alice))
    assert claim_next(reviewer) == first
    assert claim_next(reviewer) == first, "asking again gives the one that is held"
    assert claim_next(second_reviewer) == second
    assert not claim_item(second_reviewer, first)
    ReviewItem.objects.filter(pk=first.pk).update(claim_expires_at=timezone.now() - timedelta(seconds=1))
    first.refresh_from_db()
    assert claim_item(second_reviewer, first)
    assert claim_item(second_reviewer, first), "a second click on the button takes nothing away"
    with pytest.raises(ClaimLost, match="ran out"):
        record_verdict(reviewer, first.pk, first.claim_number - 1, Judgement("accept"))


def test_a_late_verdict_counts_while_nobody_else_took_the_item(alice: User, reviewer: User) -> None:
    judge(alice)
    item = claim_next(reviewer)
    assert item is not None
    ReviewItem.objects.filter(pk=item.pk).update(claim_expires_at=timezone.now() - timedelta(seconds=1))
    assert record_verdict(reviewer, item.pk, item.claim_number, Judgement("accept")).is_live


def test_the_same_verdict_sent_twice_is_one(alice: User, reviewer: User) -> None:
    judge(alice)
    item = claim_next(reviewer)
    assert item is not None
    first = record_verdict(reviewer, item.pk, item.claim_number, Judgement("accept"))
    assert record_verdict(reviewer, item.pk, item.claim_number, Judgement("spam")) == first
    assert Review.objects.get().verdict == "accept"


@pytest.mark.parametrize(
    ("judgement", "field"),
    [
        (Judgement("maybe"), "verdict"),
        (Judgement("reject"), "reason"),
        (Judgement("reject", reason="other"), "note"),
        (Judgement("duplicate"), "duplicate_of"),
        (Judgement("duplicate", duplicate_of=987_654), "duplicate_of"),
        (Judgement("question"), "note"),
        (Judgement("accept", note="x" * 2_001), "note"),
        (Judgement("accept", labels=("nonsense",)), "labels"),
        (Judgement("accept", answers={"helpfulness": 9}), "helpfulness"),
    ],
)
def test_a_bad_verdict_names_its_field_and_changes_nothing(
    judgement: Judgement, field: str, alice: User, reviewer: User
) -> None:
    judge(alice)
    item = claim_next(reviewer)
    assert item is not None
    with pytest.raises(ValidationError) as refused:
        record_verdict(reviewer, item.pk, item.claim_number, judgement)
    assert list(refused.value.message_dict) == [field]
    assert not Review.objects.exists()
    item.refresh_from_db()
    assert item.is_held_by(reviewer)


def test_undoing_keeps_the_verdict_readable_and_gives_the_item_back(
    alice: User, reviewer: User, second_reviewer: User
) -> None:
    submission = judge(alice)
    item = item_of(submission)
    give_verdict(reviewer, item)
    review = give_verdict(second_reviewer, item)
    assert undo_verdict(second_reviewer, review.pk).is_held_by(second_reviewer)
    item.refresh_from_db()
    review.refresh_from_db()
    submission.refresh_from_db()
    assert (item.state, item.outcome, item.decided_at) == (ItemState.WAITING, "", None)
    assert review.superseded_by == "undone"
    assert submission.review_state == ReviewState.IN_REVIEW
    assert DailyCount.objects.get(flow="accept").count == 0
    assert ContributorRecord.objects.get(owner=alice).accepted == 0
    with pytest.raises(UndoRefused):
        undo_verdict(second_reviewer, review.pk)
    with pytest.raises(Review.DoesNotExist):
        undo_verdict(reviewer, review.pk)


def test_a_verdict_between_which_somebody_decided_cannot_be_undone(
    alice: User, reviewer: User, second_reviewer: User, third_reviewer: User, maintainer: User
) -> None:
    item = item_of(judge(alice))
    first = give_verdict(reviewer, item)
    give_verdict(second_reviewer, item, "spam")
    give_verdict(third_reviewer, item, "spam")
    with pytest.raises(UndoRefused, match="decided between"):
        undo_verdict(reviewer, first.pk)
    assert reopen_item(maintainer, item.pk)
    item.refresh_from_db()
    assert (item.state, item.verdict_count) == (ItemState.WAITING, 0)
    assert Review.objects.filter(superseded_by="reopened").count() == 3


def test_a_question_goes_to_the_contributor_and_their_answer_brings_the_item_back(
    alice: User, reviewer: User, second_reviewer: User
) -> None:
    submission = judge(alice)
    item = item_of(submission)
    give_verdict(reviewer, item)
    give_verdict(second_reviewer, item, "question", note="In which sentence?")
    submission.refresh_from_db()
    assert (submission.review_state, submission.review_reason) == (ReviewState.NEEDS_INFORMATION, "In which sentence?")
    inquiry = Inquiry.objects.get()
    assert answer_inquiry(submission, inquiry, "In the first one.")
    assert not answer_inquiry(submission, inquiry, "Again.")
    item.refresh_from_db()
    assert (item.state, item.verdict_count) == (ItemState.WAITING, 1)
    assert claim_next(second_reviewer) == item, "who asked may judge now"


def test_an_escalated_item_is_for_a_maintainer(
    alice: User, reviewer: User, third_reviewer: User, maintainer: User
) -> None:
    item = item_of(judge(alice))
    give_verdict(reviewer, item, "escalate")
    assert claim_next(third_reviewer) is None
    give_verdict(maintainer, item)
    assert (item.state, item.outcome) == (ItemState.DECIDED, "accept")


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


def test_a_verdict_on_what_was_changed_meanwhile_is_refused(alice: User, reviewer: User) -> None:
    submission = judge(alice)
    held = claim_next(reviewer)
    assert held is not None
    submit_feedback(Actor(user=alice), submission.generation, {"thumb": "down"})
    with pytest.raises(ClaimLost, match="changed this submission"):
        record_verdict(reviewer, held.pk, held.claim_number, Judgement("accept"))


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


def test_gold_items_come_unmarked_and_change_nothing(
    alice: User, reviewer: User, second_reviewer: User, third_reviewer: User, maintainer: User
) -> None:
    item = item_of(judge(alice))
    with pytest.raises(ValidationError):
        mark_gold(maintainer, item.pk)
    give_verdict(reviewer, item)
    give_verdict(second_reviewer, item)
    mark_gold(maintainer, item.pk)
    rules(gold_percent=100)
    assert claim_next(reviewer) is None, "they know it"
    met = work(third_reviewer, "spam")
    assert met == item
    assert Review.objects.get(reviewer=third_reviewer).kind == "gold"
    item.refresh_from_db()
    assert (item.state, item.outcome, item.is_claimed) == (ItemState.DECIDED, "accept", False)
    assert DailyCount.objects.get(flow="accept").count == 1
    assert claim_next(third_reviewer) is None


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


def test_the_history_can_only_grow(alice: User) -> None:
    judge(alice)
    event = Event.objects.get(action="entered")
    for change in (event.save, event.delete, Event.objects.all().delete, lambda: Event.objects.update(action="x")):
        with pytest.raises(HistoryIsAppendOnly):
            change()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE reviews_event SET action = 'x'")
    event.refresh_from_db()
    assert event.action == "entered"
