"""What a contributor is asked, and what they were told."""

from __future__ import annotations

from typing import Final

from django.db.models import Prefetch, Q, QuerySet

from portal.accounts.actors import Actor
from portal.arena.models import Vote
from portal.feedback.models import Answer, Submission
from portal.reviews.models import Inquiry, Notice
from portal.reviews.settling import ItemState

NOTICES_SHOWN = 50
# What `Submission.about` reads.
_ABOUT: Final = ("generation__conversation", "comparison__contest", "comparison__generation_a", "campaign", "card")
# What a run holds beside the beginning of its prompt, which is all that is told of it.
_HEAVY: Final = ("messages", "rendered_prompt", "output", "thinking", "provenance")
_RUNS: Final = ("submission__generation", "submission__comparison__generation_a", "vote__comparison__generation_a")
_NOT_TOLD: Final = tuple(f"item__{run}__{column}" for run in _RUNS for column in _HEAVY)


def open_inquiries(actor: Actor) -> QuerySet[Inquiry]:
    """Questions on the actor's own submissions and votes that are still to be answered, with what they are about."""
    own = Q(item__submission__in=Submission.objects.filter(actor.owns()))
    own |= Q(item__vote__in=Vote.objects.filter(actor.owns()))
    asked = Inquiry.objects.filter(own, item__state=ItemState.QUESTION, answered_at=None, review__superseded_at=None)
    answered_on = (*(f"item__submission__{each}" for each in _ABOUT), "item__vote__comparison__generation_a")
    asked = asked.select_related(*answered_on).defer(*_NOT_TOLD)
    said = Prefetch("item__submission__answers", Answer.objects.select_related("question"))
    return asked.prefetch_related(said).order_by("asked_at", "id")


def notices_of(actor: Actor) -> QuerySet[Notice]:
    """A person's newest notices; an anonymous browser has none."""
    if actor.user is None:
        return Notice.objects.none()
    return with_what_they_are_about(Notice.objects.filter(owner=actor.user))[:NOTICES_SHOWN]


def with_what_they_are_about(notices: QuerySet[Notice]) -> QuerySet[Notice]:
    """Each with what `about` tells, in one query."""
    voted = ("comparison__generation_a", "variant_a__card", "variant_b__card")
    return notices.select_related(
        "item__submission__questionnaire",
        *(f"item__submission__{each}" for each in _ABOUT),
        *(f"item__vote__{each}" for each in voted),
    ).defer(*_NOT_TOLD)
