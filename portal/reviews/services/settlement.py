"""One place where an item's verdicts become its state, and the state everything that depends on it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.utils import timezone

from portal.accounts.models import User
from portal.arena.models import Vote
from portal.arena.review_states import ReviewState
from portal.feedback.models import Submission
from portal.reviews.models import ReviewItem
from portal.reviews.models.history import record_event
from portal.reviews.models.queue import Subject
from portal.reviews.services.counting import count_decision, count_outcome
from portal.reviews.services.telling import tell_contributor
from portal.reviews.settling import ItemState, Reason, Verdict
from portal.reviews.signals import verdict_changed

_STATE_OF_OUTCOME: Final = {
    Verdict.ACCEPT: ReviewState.ACCEPTED,
    Verdict.REJECT: ReviewState.REJECTED,
    Verdict.DUPLICATE: ReviewState.DUPLICATE,
    Verdict.SPAM: ReviewState.SPAM,
}


def lock_item(item_id: int) -> tuple[ReviewItem, Subject]:
    """The item and its submission or vote, held until the transaction ends. Raises ReviewItem.DoesNotExist.

    What is reviewed first: whoever changes or withdraws it holds it before they reach the item. No key is held, since
    a verdict "same as" another item looks at that one's: two that name each other would wait for each other.
    """
    submissions = Submission.objects.select_for_update(of=("self",), no_key=True)
    subject: Subject | None = submissions.filter(review_item=item_id).first()
    if subject is None:
        subject = Vote.objects.select_for_update(of=("self",), no_key=True).filter(review_item=item_id).first()
    item = ReviewItem.objects.select_for_update(of=("self",), no_key=True).get(pk=item_id)
    # It cannot be gone: deleting it takes its item along.
    assert subject is not None
    return item, subject


def resettle(item: ReviewItem, subject: Subject, actor: User | None, at: datetime | None = None) -> None:
    """Bring the item, the subject's review state, the counts and the history to what the live verdicts say.

    Call inside a transaction that holds both rows, after the verdicts were changed.
    """
    at = at or timezone.now()
    before_state, before_outcome = item.state, item.outcome
    settlement = item.settlement(is_withdrawn=subject.is_withdrawn)
    is_new_outcome = settlement.outcome != before_outcome
    if is_new_outcome and before_outcome and not subject.is_withdrawn:
        # Undone, not withdrawn: what was withdrawn had been decided all the same.
        count_decision(item, -1)
        count_outcome(subject, before_outcome, -1)
    item.apply(settlement, at)
    if is_new_outcome and settlement.outcome:
        count_decision(item, +1)
        count_outcome(subject, settlement.outcome, +1)
    if (item.state, item.outcome) != (before_state, before_outcome):
        record_event(
            item, "state", actor, before=before_state, after=item.state, outcome=item.outcome, reason=item.reason
        )
    if is_new_outcome:
        verdict_changed.send(sender=ReviewItem, item=item, before=before_outcome)
    if subject.is_withdrawn:
        return
    state = _review_state(item)
    reason = _reason_in_words(item)
    if (state, reason) != (subject.review_state, subject.review_reason):
        if isinstance(subject, Vote):
            subject.record_review(state, reason)
        else:
            subject.move_review(list(ReviewState), state, reason)
        if is_new_outcome and settlement.outcome:
            tell_contributor(subject, item)


def _review_state(item: ReviewItem) -> ReviewState:
    match item.state:
        case ItemState.DECIDED:
            return _STATE_OF_OUTCOME[Verdict(item.outcome)]
        case ItemState.QUESTION:
            return ReviewState.NEEDS_INFORMATION
        case ItemState.ADJUDICATION if item.needs_maintainer:
            return ReviewState.ESCALATED
        case ItemState.WAITING if item.verdict_count == 0:
            return ReviewState.UNREVIEWED
        case _:
            return ReviewState.IN_REVIEW


def _reason_in_words(item: ReviewItem) -> str:
    if item.state == ItemState.QUESTION:
        inquiry = item.inquiries.filter(review__superseded_at=None).last()
        return inquiry.question if inquiry is not None else ""
    return str(Reason(item.reason).label) if item.reason else ""
