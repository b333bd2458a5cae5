"""What a contributor is asked, and what they were told."""

from __future__ import annotations

from django.db.models import Prefetch, Q, QuerySet

from portal.accounts.actors import Actor
from portal.arena.models import Vote
from portal.feedback.models import Answer, Submission
from portal.reviews.models import Inquiry, Notice
from portal.reviews.settling import ItemState

NOTICES_SHOWN = 50


def open_inquiries(actor: Actor) -> QuerySet[Inquiry]:
    """Questions on the actor's own submissions and votes that are still to be answered, with what they are about."""
    own = Q(item__submission__in=Submission.objects.filter(actor.owns()))
    own |= Q(item__vote__in=Vote.objects.filter(actor.owns()))
    asked = Inquiry.objects.filter(own, item__state=ItemState.QUESTION, answered_at=None, review__superseded_at=None)
    answered_on = (
        *(f"item__submission__{each}" for each in ("generation", "comparison__contest", "campaign", "card")),
        "item__vote__comparison__generation_a",
    )
    said = Prefetch("item__submission__answers", Answer.objects.select_related("question"))
    return asked.select_related(*answered_on).prefetch_related(said).order_by("asked_at", "id")


def notices_of(actor: Actor) -> QuerySet[Notice]:
    """A person's newest notices; an anonymous browser has none."""
    return Notice.objects.filter(owner=actor.user)[:NOTICES_SHOWN] if actor.user is not None else Notice.objects.none()
