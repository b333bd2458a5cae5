"""Claiming, judging, undoing: what each does to the item, the submission, the counts and the history."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import DatabaseError
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.models import ReviewState, Submission
from portal.feedback.services import submit_feedback
from portal.reviews.models import ContributorRecord, DailyCount, Event, Inquiry, Notice, QueuePolicy, Review, ReviewItem
from portal.reviews.models.history import HistoryIsAppendOnly
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
from tests.feedback.judgements import judge
from tests.reviews.desk import give_verdict, item_of, work

pytestmark = pytest.mark.django_db
COPIED = "This answer repeats the same three sentences over and over until the limit of tokens."


def rules(**changes: object) -> None:
    QueuePolicy.objects.filter(is_current=True).update(**changes)


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


def test_a_verdict_on_what_was_changed_meanwhile_is_refused(alice: User, reviewer: User) -> None:
    submission = judge(alice)
    held = claim_next(reviewer)
    assert held is not None
    submit_feedback(Actor(user=alice), submission.generation, {"thumb": "down"})
    with pytest.raises(ClaimLost, match="changed this submission"):
        record_verdict(reviewer, held.pk, held.claim_number, Judgement("accept"))


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
