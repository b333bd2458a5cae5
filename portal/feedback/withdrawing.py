"""Take judgements back, one or all, by who gave them or by an operator: tombstones stay."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.limits import check_rate
from portal.feedback.models import CampaignDraft, Submission
from portal.feedback.queries import answer_questionnaire
from portal.feedback.services import RATE_NAME, VersionConflict, said_before
from portal.playground.models import Generation


def withdraw_feedback(actor: Actor, generation: Generation) -> Submission:
    """Withdraw the judgement of a run's answer. Raises Submission.DoesNotExist when the actor gave none."""
    submission = said_before(actor, generation, answer_questionnaire().slug).get()
    return withdraw_submission(actor, submission.pk)


def withdraw_submission(actor: Actor, submission_id: uuid.UUID, expected_version: int | None = None) -> Submission:
    """Delete the answers and leave a tombstone, reviewed or not; withdrawing again changes nothing.

    Raises Submission.DoesNotExist when it is not the actor's own, VersionConflict, and LimitExceeded.
    """
    check_rate(actor, RATE_NAME, settings.FEEDBACK_RATE)
    with transaction.atomic():
        submission = Submission.objects.select_for_update().get(actor.owns(), pk=submission_id)
        if expected_version is not None and expected_version != submission.version:
            raise VersionConflict(expected_version, submission.version)
        if not submission.is_withdrawn:
            submission.withdraw(timezone.now())
    return submission


def withdraw_everything(actor: Actor) -> int:
    """Make a tombstone of everything that the actor gave, and delete what they only wrote; how many were withdrawn.

    One by one: each moves counts that others move too, in the order of what it is about. What broke off is asked again.
    """
    check_rate(actor, RATE_NAME, settings.FEEDBACK_RATE)
    CampaignDraft.objects.filter(actor.owns()).delete()
    live = Submission.objects.filter(actor.owns(), withdrawn_at=None)
    return sum(map(_withdraw_one, live.order_by("pk").values_list("pk", flat=True)))


def withdraw_as_operator(submission_id: uuid.UUID) -> bool:
    """Withdraw somebody's judgement for them or against abuse; False when it was withdrawn already."""
    return _withdraw_one(submission_id)


def _withdraw_one(submission_id: uuid.UUID) -> bool:
    with transaction.atomic():
        submission = Submission.objects.select_for_update().get(pk=submission_id)
        if submission.is_withdrawn:
            return False
        submission.withdraw(timezone.now())
    return True
