"""Notes what moved, inside the transactions of the apps below that move it; settles what a dump brought along."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from portal.arena.models import Vote
from portal.arena.signals import vote_changed
from portal.exports.change_feed import settle_after_a_restore
from portal.exports.models import Change, ChangeKind, RecordKind, Snapshot
from portal.feedback.models import PUBLISHABLE, Submission
from portal.feedback.signals import submission_changed, submission_reviewed
from portal.reviews.models import Limitation, ReviewItem
from portal.reviews.signals import limitation_changed, verdict_changed


def settle_changes(sender: Any, using: str, **options: Any) -> None:
    """After migrations, so before anything moves in a database into which a dump was read."""
    # Migrated back to the beginning, there is no table any more.
    if Change._meta.db_table in connections[using].introspection.table_names():  # noqa: SLF001
        settle_after_a_restore()


@receiver(submission_changed, dispatch_uid="exports.note_submission")
@receiver(submission_reviewed, dispatch_uid="exports.note_review")
def note_submission(submission: Submission, **kwargs: Any) -> None:
    if submission.is_withdrawn or submission.consent not in PUBLISHABLE:
        # Somebody may have read it before it was withdrawn from publication.
        if submission.version > 1:
            Change.note(RecordKind.SUBMISSION, submission.pk, ChangeKind.WITHDRAWN)
        return
    is_new = submission.version == 1 and submission.review_changed_at is None
    Change.note(RecordKind.SUBMISSION, submission.pk, ChangeKind.CREATED if is_new else ChangeKind.CHANGED)


@receiver(post_delete, sender=Submission, dispatch_uid="exports.note_deletion")
def note_deletion(instance: Submission, **kwargs: Any) -> None:
    """Its texts were deleted, and it with them."""
    if not instance.is_withdrawn and instance.consent in PUBLISHABLE:
        Change.note(RecordKind.SUBMISSION, instance.pk, ChangeKind.WITHDRAWN)


@receiver(post_save, sender=Vote, dispatch_uid="exports.note_vote")
def note_vote(instance: Vote, created: bool, **kwargs: Any) -> None:
    Change.note(RecordKind.VOTE, instance.pk, ChangeKind.CREATED if created else ChangeKind.CHANGED)


@receiver(vote_changed, dispatch_uid="exports.note_changed_vote")
def note_changed_vote(vote: Vote, **kwargs: Any) -> None:
    Change.note(RecordKind.VOTE, vote.pk, ChangeKind.WITHDRAWN if vote.is_withdrawn else ChangeKind.CHANGED)


@receiver(verdict_changed, dispatch_uid="exports.note_verdict")
def note_verdict(item: ReviewItem, before: str, **kwargs: Any) -> None:
    subject = item.subject
    if isinstance(subject, Submission) and subject.consent not in PUBLISHABLE:
        return
    decided = ChangeKind.CHANGED if before else ChangeKind.CREATED
    Change.note(RecordKind.VERDICT, subject.pk, decided if item.outcome else ChangeKind.WITHDRAWN)


@receiver(post_delete, sender=ReviewItem, dispatch_uid="exports.note_deleted_verdict")
def note_deleted_verdict(instance: ReviewItem, **kwargs: Any) -> None:
    """Its subject was deleted, and it with that; who read the verdict must hear of it."""
    subject = instance.submission_id or instance.vote_id
    if not instance.outcome or subject is None:
        return
    if instance.vote_id or Submission.objects.filter(pk=subject, consent__in=PUBLISHABLE).exists():
        Change.note(RecordKind.VERDICT, subject, ChangeKind.WITHDRAWN)


@receiver(limitation_changed, dispatch_uid="exports.note_limitation")
def note_limitation(limitation: Limitation, is_new: bool, **kwargs: Any) -> None:
    Change.note(RecordKind.LIMITATION, limitation.pk, ChangeKind.CREATED if is_new else ChangeKind.CHANGED)


@receiver(post_delete, sender=Limitation, dispatch_uid="exports.note_deleted_limitation")
def note_deleted_limitation(instance: Limitation, **kwargs: Any) -> None:
    Change.note(RecordKind.LIMITATION, instance.pk, ChangeKind.WITHDRAWN)


@receiver(post_delete, sender=Snapshot, dispatch_uid="exports.note_deleted_snapshot")
def note_deleted_snapshot(instance: Snapshot, **kwargs: Any) -> None:
    if instance.is_published and instance.number is not None:
        Change.note(RecordKind.SNAPSHOT, instance.number, ChangeKind.WITHDRAWN)
