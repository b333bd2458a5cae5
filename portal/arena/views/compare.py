"""Side by side: one prompt to two to four variants or parameter sets, their answers beside each other, and a vote."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.actors import current_actor, identified_actor
from portal.accounts.limits import Blocked
from portal.arena.access import get_contest, get_reply
from portal.arena.forms import (
    REASONS,
    ContenderForm,
    PromptForm,
    SideBySideForm,
    SideBySideVoteForm,
    column_count,
    contender_forms,
    contender_initials,
)
from portal.arena.models import MAX_CONTENDERS, Contest, Kind
from portal.arena.queries import contenders_of, own_contests
from portal.arena.services import begin_side_by_side
from portal.arena.showing import differences, differing_settings
from portal.arena.submitting import Refused, submit
from portal.arena.views.turns import show_or_send, turns_context
from portal.arena.voting import vote_side_by_side
from portal.catalog.queries import runnable_variants
from portal.playground.quota import read_quotas

LATEST_SHOWN: Final = 5


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Begin a comparison. GET takes the form's own fields, so that an address says everything.

    POST with `show_columns` shows the same form with so many columns: a long prompt fits no address.
    """
    variants = list(runnable_variants())
    query: Mapping[str, Any] = request.GET
    if request.method == "POST" and "show_columns" in request.POST:
        query = request.POST.dict() | {"columns": request.POST["show_columns"]}
    elif request.method == "POST":
        form = SideBySideForm(request.POST)
        columns = contender_forms(request.POST, variants, column_count(request.POST))
        are_valid = [each.is_valid() for each in (form, *columns)]
        begun = submit(form, lambda: _begin(request, form, columns)) if all(are_valid) else Refused()
        if isinstance(begun, Contest):
            return redirect(begun)
        return begun.mark(render(request, "arena/compare.html", _new_context(request, form, columns)))
    initial = {name: query[name] for name in ("prompt", "system_prompt") if query.get(name)}
    columns = contender_initials(query, variants, column_count(query))
    return render(request, "arena/compare.html", _new_context(request, SideBySideForm(initial=initial), columns))


def _new_context(request: HttpRequest, form: SideBySideForm, columns: list[ContenderForm]) -> dict[str, Any]:
    return {
        "form": form,
        "columns": columns,
        "can_add": len(columns) < MAX_CONTENDERS,
        "can_remove": len(columns) > 2,
        "more": len(columns) + 1,
        "fewer": len(columns) - 1,
        "latest": own_contests(current_actor(request), Kind.SIDE_BY_SIDE)[:LATEST_SHOWN],
        "quotas": read_quotas(current_actor(request)),
    }


def _begin(request: HttpRequest, form: SideBySideForm, columns: list[ContenderForm]) -> Contest:
    return begin_side_by_side(
        identified_actor(request),
        [column.cleaned_data["entry"] for column in columns],
        prompt=form.cleaned_data["prompt"],
        system_prompt=form.cleaned_data["system_prompt"],
        request_key=form.cleaned_data["request_key"],
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def side_by_side(request: HttpRequest, contest_id: uuid.UUID) -> HttpResponse:
    """One's own comparison; POST sends all contenders the next prompt. `?differences=1` marks what differs."""
    actor = current_actor(request)
    contest = get_contest(actor, contest_id, Kind.SIDE_BY_SIDE)
    template = "arena/side_by_side.html"
    return show_or_send(
        request, actor, contest, lambda form: render(request, template, _context(request, contest, form))
    )


def _context(request: HttpRequest, contest: Contest, form: PromptForm) -> dict[str, Any]:
    context = turns_context(contest, form)
    last = context["last"]
    shows_differences = bool(request.GET.get("differences")) and not last.is_active
    return context | {
        "settings": differing_settings(contenders_of(contest)),
        "reasons": REASONS,
        "differences": differences(last) if shows_differences else None,
        "quotas": read_quotas(current_actor(request)),
    }


@never_cache
@require_http_methods(["GET", "HEAD"])
def reply(request: HttpRequest, contest_id: uuid.UUID, turn: int, letter: str) -> HttpResponse:
    """One answer as it stands, for its place in the page."""
    contest = get_contest(current_actor(request), contest_id, Kind.SIDE_BY_SIDE)
    shown = get_reply(contest, turn, letter)
    if not getattr(request, "htmx", False):
        return redirect(contest)
    return render(request, "arena/answer.html", {"run": shown.generation, "reply": shown, "contest": contest})


@never_cache
@require_POST
def vote(request: HttpRequest, contest_id: uuid.UUID) -> HttpResponse:
    """Say which answer of a turn is the best, or that none is."""
    actor = current_actor(request)
    contest = get_contest(actor, contest_id, Kind.SIDE_BY_SIDE)
    form = SideBySideVoteForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(f"{each}" for errors in form.errors.values() for each in errors))
        return redirect(contest)
    said = form.cleaned_data
    try:
        vote_side_by_side(actor, contest, said["turn"], said["verdict"], said["reasons"])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except Blocked as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Your vote is kept. Side by side the names are known, so it is not ranked."))
    return redirect(f"{reverse('arena:side_by_side', args=[contest.pk])}#turn-{said['turn']}")
