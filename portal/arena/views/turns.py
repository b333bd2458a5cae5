"""What battles and comparisons have in common: the next turn, stopping the answers, and another try at a failed one."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from portal.accounts.actors import Actor, current_actor
from portal.arena.access import get_contest, get_reply
from portal.arena.forms import PromptForm
from portal.arena.models import Contest, Kind
from portal.arena.queries import turns_of
from portal.arena.services import retry_reply, send_turn, stop_contest
from portal.arena.showing import show_turn
from portal.arena.submitting import Refused, submit


def show_or_send(
    request: HttpRequest, actor: Actor, contest: Contest, show: Callable[[PromptForm], HttpResponse]
) -> HttpResponse:
    """The contest's page; POST sends all contenders the next prompt."""
    if request.method != "POST":
        return show(PromptForm())
    form = PromptForm(request.POST)
    if form.is_valid():
        prompt, key = form.cleaned_data["prompt"], form.cleaned_data["request_key"]
        refused = submit(form, lambda: send_turn(actor, contest, prompt=prompt, request_key=key))
        if refused is None:
            return redirect(contest)
    else:
        refused = Refused()
    return refused.mark(show(form))


def turns_context(contest: Contest, form: PromptForm) -> dict[str, Any]:
    """The contest with its turns, and the form of the next."""
    turns = [show_turn(contest, turn) for turn in turns_of(contest)]
    return {"contest": contest, "turns": turns, "last": turns[-1], "form": form}


@never_cache
@require_POST
def stop(request: HttpRequest, contest_id: uuid.UUID, kind: Kind) -> HttpResponse:
    """Stop all answers that are still being written."""
    contest = get_contest(current_actor(request), contest_id, kind)
    stop_contest(contest)
    return redirect(contest)


@never_cache
@require_POST
def retry(request: HttpRequest, contest_id: uuid.UUID, kind: Kind, turn: int, letter: str) -> HttpResponse:
    """Run an answer that failed again, in its place."""
    actor = current_actor(request)
    contest = get_contest(actor, contest_id, kind)
    try:
        retry_reply(actor, contest, get_reply(contest, turn, letter), request_key=uuid.uuid4())
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(contest)
