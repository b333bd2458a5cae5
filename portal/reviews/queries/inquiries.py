"""What a contributor is asked, and what they were told."""

from __future__ import annotations

from django.db.models import QuerySet

from portal.accounts.actors import Actor
from portal.feedback.models import Submission
from portal.reviews.models import Inquiry, Notice
from portal.reviews.settling import ItemState

NOTICES_SHOWN = 50


def open_inquiries(actor: Actor) -> QuerySet[Inquiry]:
    """Questions on the actor's own submissions that are still to be answered."""
    own = Submission.objects.filter(actor.owns())
    asked = Inquiry.objects.filter(
        item__submission__in=own, item__state=ItemState.QUESTION, answered_at=None, review__superseded_at=None
    )
    return asked.select_related("item__submission__generation__variant__card").order_by("asked_at", "id")


def notices_of(actor: Actor) -> QuerySet[Notice]:
    """A person's newest notices; an anonymous browser has none."""
    return Notice.objects.filter(owner=actor.user)[:NOTICES_SHOWN] if actor.user is not None else Notice.objects.none()
