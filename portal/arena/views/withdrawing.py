"""Taking back a vote, of a battle or side by side."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from portal.accounts.actors import current_actor
from portal.accounts.limits import LimitExceeded
from portal.arena.models import Contest
from portal.arena.withdrawing import withdraw_vote


@never_cache
@require_POST
def withdraw(request: HttpRequest, contest_id: uuid.UUID, turn: int) -> HttpResponse:
    """One's own vote on a turn; what is left says when it was given, and no longer what it said."""
    actor = current_actor(request)
    contest = Contest.objects.filter(actor.owns(), pk=contest_id).first()
    if contest is None:
        raise Http404
    try:
        if withdraw_vote(actor, contest, turn):
            messages.success(
                request, _("Withdrawn. What you said is deleted; that there was a vote, and when, remains.")
            )
    except LimitExceeded as error:
        messages.error(request, error.message)
    return redirect(contest)
