"""The votes that I gave: what they were on, whether they are ranked, and the way to take one back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import Actor, current_actor
from portal.arena.forms import REASONS
from portal.arena.models import Kind, Vote
from portal.arena.queries import own_votes, place_among_votes
from portal.arena.withdrawing import withdraw_own_vote
from portal.feedback.contribution_notes import ContributionNote, contribution_notes, keeps_copy

VOTES_PER_PAGE: Final = 25


@dataclass(frozen=True, slots=True)
class VoteState:
    """Whether a vote is ranked, in words and as a tone."""

    words: str
    tone: str


@dataclass(frozen=True, slots=True)
class CastVote:
    """One vote as its voter sees it. `prompt` is empty once the texts are deleted."""

    vote: Vote
    prompt: str
    url: str
    state: VoteState
    reasons: tuple[str, ...]
    notes: tuple[ContributionNote, ...]

    @property
    def is_published(self) -> bool:
        return keeps_copy(self.notes)


@never_cache
@require_http_methods(["GET", "HEAD"])
def vote_list(request: HttpRequest) -> HttpResponse:
    """One's own votes, the newest first."""
    page = Paginator(own_votes(current_actor(request)), VOTES_PER_PAGE).get_page(request.GET.get("page"))
    notes = contribution_notes([vote.pk for vote in page])
    given = [_cast(vote, notes.get(vote.pk, [])) for vote in page]
    return render(request, "feedback/votes.html", {"page": page, "given": given})


@never_cache
@require_http_methods(["POST"])
def withdraw(request: HttpRequest, vote_id: uuid.UUID) -> HttpResponse:
    """Take one's own vote back, and those that said the same of the turn's other answers."""
    try:
        count = withdraw_own_vote(current_actor(request), vote_id)
    except Vote.DoesNotExist:
        raise Http404 from None
    said = ngettext("Your vote is withdrawn.", "%d votes on these answers are withdrawn.", count)
    messages.success(request, said % count if count > 1 else said)
    return redirect(_place_of(current_actor(request), vote_id))


def vote_row(request: HttpRequest, vote: Vote) -> dict[str, Any]:
    """A vote in the file that a person downloads."""
    comparison = vote.comparison
    return {
        "id": str(vote.pk),
        "about": vote.kind,
        "title": comparison.generation_a.prompt if comparison is not None else "",
        "address": request.build_absolute_uri(comparison.get_absolute_url()) if comparison is not None else None,
        "model_a": vote.variant_a.model_id,
        "model_b": vote.variant_b.model_id,
        "outcome": vote.outcome,
        "reasons": vote.reasons,
        "turns": vote.turns,
        "is_ranked": vote.is_ranked,
        "void_reason": vote.void_reason,
        "review": vote.review_state,
        "review_reason": vote.review_reason,
        "created_at": vote.created_at.isoformat(),
        "withdrawn_at": vote.withdrawn_at.isoformat() if vote.withdrawn_at else None,
    }


def _place_of(actor: Actor, vote_id: uuid.UUID) -> str:
    """Where the vote stands in the list now."""
    number = place_among_votes(actor, vote_id) // VOTES_PER_PAGE + 1
    query = f"?page={number}" if number > 1 else ""
    return f"{reverse('feedback:vote_contributions')}{query}#vote-{vote_id}"


def _cast(vote: Vote, notes: list[ContributionNote]) -> CastVote:
    comparison = vote.comparison
    labels = dict(REASONS)
    return CastVote(
        vote=vote,
        prompt=comparison.generation_a.prompt if comparison is not None else "",
        url=comparison.get_absolute_url() if comparison is not None else "",
        state=_state(vote),
        reasons=tuple(str(labels.get(each, each)) for each in vote.reasons),
        notes=tuple(notes),
    )


def _state(vote: Vote) -> VoteState:
    if vote.kind == Kind.SIDE_BY_SIDE:
        return VoteState(_("Kept, not ranked: the names were known"), "plain")
    if vote.void_reason:
        return VoteState(_("Not ranked: %(reason)s") % {"reason": vote.get_void_reason_display()}, "warn")
    if not vote.is_ranked:
        return VoteState(_("Not ranked: set aside by reviewers"), "bad")
    return VoteState(_("Ranked"), "good")
