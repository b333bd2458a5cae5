"""The arena: a prompt to two variants without names, several turns, one vote, and then the names."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.actors import current_actor, identified_actor
from portal.accounts.limits import Blocked
from portal.arena.access import get_contest
from portal.arena.forms import BattleForm, BattleVoteForm, PromptForm, limit_words
from portal.arena.models import Contest, Kind, Outcome, Vote
from portal.arena.queries import contenders_of, own_contests, pools_with_pairs
from portal.arena.services import begin_battle
from portal.arena.submitting import Refused, submit
from portal.arena.views.turns import show_or_send, turns_context
from portal.arena.voting import vote_on_battle
from portal.playground.quota import read_quotas

LATEST_SHOWN: Final = 5


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Begin a battle. GET takes `prompt` and `pool` to start from."""
    rows = pools_with_pairs()
    pools = [pool for pool, variants in rows if variants]
    if request.method == "POST":
        form = BattleForm(request.POST, pools=pools)
        begun = submit(form, lambda: _begin(request, form)) if form.is_valid() else Refused()
        if isinstance(begun, Contest):
            return redirect(begun)
        return begun.mark(render(request, "arena/arena.html", _new_context(request, form, rows)))
    initial = {name: request.GET[name] for name in ("prompt", "pool") if request.GET.get(name)}
    form = BattleForm(initial=initial, pools=pools)
    return render(request, "arena/arena.html", _new_context(request, form, rows))


def _new_context(request: HttpRequest, form: BattleForm, rows: list[tuple[Any, int]]) -> dict[str, Any]:
    return {
        "form": form,
        "pools": rows,
        "has_pairs": any(variants for _pool, variants in rows),
        "limits": limit_words(),
        "latest": own_contests(current_actor(request), Kind.BATTLE)[:LATEST_SHOWN],
        "quotas": read_quotas(current_actor(request)),
    }


def _begin(request: HttpRequest, form: BattleForm) -> Contest:
    return begin_battle(
        identified_actor(request),
        form.cleaned_data["pool"],
        prompt=form.cleaned_data["prompt"],
        request_key=form.cleaned_data["request_key"],
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def battle(request: HttpRequest, contest_id: uuid.UUID) -> HttpResponse:
    """One's own battle; POST sends both the next prompt. htmx gets the battle alone."""
    actor = current_actor(request)
    contest = get_contest(actor, contest_id, Kind.BATTLE)
    is_part = request.method != "POST" and getattr(request, "htmx", False)
    template = "arena/battle_body.html" if is_part else "arena/battle.html"
    return show_or_send(request, actor, contest, lambda form: render(request, template, _context(contest, form)))


def _context(contest: Contest, form: PromptForm) -> dict[str, Any]:
    context = turns_context(contest, form)
    context["title"] = context["turns"][0].prompt[:80]
    if not contest.is_blind:
        # Not before: what a template is not given, it cannot give away.
        context["contenders"] = contenders_of(contest)
        context["vote"] = Vote.objects.filter(comparison__contest=contest).first()
    return context


@never_cache
@require_POST
def vote(request: HttpRequest, contest_id: uuid.UUID) -> HttpResponse:
    """Vote once; then the page shows the names."""
    actor = current_actor(request)
    contest = get_contest(actor, contest_id, Kind.BATTLE)
    form = BattleVoteForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose A, B, a tie, or that both are bad."))
        return redirect(contest)
    try:
        vote_on_battle(actor, contest, Outcome(form.cleaned_data["outcome"]))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except Blocked as error:
        messages.error(request, str(error))
    return redirect(contest)
