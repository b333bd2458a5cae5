"""What a contributor is asked, and what they were told."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from portal.accounts.actors import Actor
from portal.arena.models import Vote
from portal.feedback.models import Submission
from portal.reviews.models import Inquiry, Notice
from portal.reviews.settling import ItemState

NOTICES_SHOWN = 50


def open_inquiries(actor: Actor) -> QuerySet[Inquiry]:
    """Questions on the actor's own submissions and votes that are still to be answered."""
    own = Q(item__submission__in=Submission.objects.filter(actor.owns()))
    own |= Q(item__vote__in=Vote.objects.filter(actor.owns()))
    asked = Inquiry.objects.filter(own, item__state=ItemState.QUESTION, answered_at=None, review__superseded_at=None)
    answered_on = ("item__submission__generation__variant__card", "item__vote__comparison__generation_a")
    return asked.select_related(*answered_on).order_by("asked_at", "id")


def notices_of(actor: Actor) -> QuerySet[Notice]:
    """A person's newest notices; an anonymous browser has none."""
    return Notice.objects.filter(owner=actor.user)[:NOTICES_SHOWN] if actor.user is not None else Notice.objects.none()
