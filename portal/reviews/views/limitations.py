"""Known limitations: everybody reads them and says "me too"; maintainers make, change and replay them."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.actors import current_actor, identified_actor
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.catalog.models import ModelCard
from portal.reviews.access import get_limitation, get_visible_card, require_maintainer
from portal.reviews.forms import LimitationForm, ReplayForm
from portal.reviews.models import Limitation, Replay, ReplayRun
from portal.reviews.queries.limitations import (
    limitations_of,
    propose_limitations,
    replay_counts,
    replays_of,
    reports_of,
    said_me_too,
)
from portal.reviews.services.limitations import (
    LimitationChanged,
    change_limitation,
    make_limitation,
    say_me_too,
)
from portal.reviews.services.replays import ask_again, judge_replay_run, start_replay

PER_PAGE = 50
REPORTS_PER_PAGE = 20


@never_cache
@require_http_methods(["GET", "HEAD"])
def limitation(request: HttpRequest, limitation_id: uuid.UUID) -> HttpResponse:
    """One limitation, public as its card is."""
    return _page(request, get_limitation(request, limitation_id))


@never_cache
@require_http_methods(["GET", "HEAD"])
def card_limitations(request: HttpRequest, card_id: int) -> HttpResponse:
    """A card's limitations; to htmx the section that the card shows."""
    card = get_visible_card(request, card_id)
    is_partial = request.headers.get("HX-Request") == "true"
    template = "reviews/card_limitations.html" if is_partial else "reviews/limitations_of_card.html"
    return render(request, template, {"card": card, "limitations": limitations_of(card)[:PER_PAGE]})


@require_POST
def me_too(request: HttpRequest, limitation_id: uuid.UUID) -> HttpResponse:
    """Once per person or browser."""
    wanted = get_limitation(request, limitation_id)
    if say_me_too(identified_actor(request), wanted):
        messages.success(request, _("Counted. Thank you."))
    return redirect(wanted)


@never_cache
@require_http_methods(["GET", "HEAD"])
def limitation_list(request: HttpRequest) -> HttpResponse:
    """All limitations for maintainers, and the cards to look for new ones."""
    require_maintainer(request)
    rows = Limitation.objects.select_related("card", "mitigated_in").order_by("-changed_at", "-id")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    cards = ModelCard.objects.order_by("owner_name", "slug")[:200]
    return render(request, "reviews/limitations.html", {"page": page, "cards": cards})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def propose(request: HttpRequest, card_id: int) -> HttpResponse:
    """Groups of accepted reports that seem to say the same; choosing some makes a limitation of them."""
    maintainer = require_maintainer(request)
    card = get_object_or_404(ModelCard, pk=card_id)
    form = LimitationForm(request.POST or None, card=card)
    if request.method == "POST" and form.is_valid():
        values = {name: value for name, value in form.cleaned_data.items() if name != "version"}
        try:
            made = make_limitation(maintainer, card, _ids(request.POST.getlist("report")), **values)
        except ValidationError as error:
            form.add_error(None, " ".join(error.messages))
        else:
            messages.success(request, _("It stands on the card now, and its contributors hear of it."))
            return redirect(made)
    proposals, alone = propose_limitations(card)
    context = {
        "card": card,
        "form": form,
        "proposals": proposals,
        "alone": alone,
        "chosen": request.POST.getlist("report"),
    }
    return render(request, "reviews/propose.html", context, status=422 if request.method == "POST" else 200)


@require_POST
def change(request: HttpRequest, limitation_id: uuid.UUID) -> HttpResponse:
    """Title, text, severity and state; a new state is told to its contributors."""
    maintainer = require_maintainer(request)
    wanted = get_limitation(request, limitation_id)
    form = LimitationForm(request.POST, instance=Limitation.objects.get(pk=wanted.pk), card=wanted.card)
    if not form.is_valid():
        return _page(request, wanted, form=form, status=422)
    values = {name: form.cleaned_data[name] for name in ("title", "description", "severity", "state", "mitigated_in")}
    try:
        change_limitation(maintainer, wanted, form.cleaned_data.get("version") or 0, **values)
    except LimitationChanged:
        form.add_error(None, _("Somebody else changed this since you opened it. Your entries are still here."))
        return _page(request, get_limitation(request, limitation_id), form=form, status=409)
    return redirect(wanted)


@require_POST
def replay(request: HttpRequest, limitation_id: uuid.UUID) -> HttpResponse:
    """Ask its prompts of another variant."""
    maintainer = require_maintainer(request)
    wanted = get_limitation(request, limitation_id)
    form = ReplayForm(request.POST)
    if not form.is_valid():
        return _page(request, wanted, replay_form=form, status=422)
    try:
        start_replay(maintainer, wanted, **form.cleaned_data)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(f"{wanted.get_absolute_url()}#replays")


@require_POST
def replay_again(request: HttpRequest, replay_id: uuid.UUID) -> HttpResponse:
    """Start what could not be asked before."""
    maintainer = require_maintainer(request)
    wanted = get_object_or_404(Replay.objects.select_related("limitation", "variant"), pk=replay_id)
    ask_again(maintainer, wanted)
    return redirect(f"{wanted.limitation.get_absolute_url()}#replays")


@require_POST
def judge_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """A person's word on whether one answer flipped."""
    maintainer = require_maintainer(request)
    run = get_object_or_404(ReplayRun.objects.select_related("replay__limitation"), pk=run_id)
    word = {"yes": True, "no": False}.get(request.POST.get("flipped", ""))
    judge_replay_run(maintainer, run, word)
    return redirect(f"{run.replay.limitation.get_absolute_url()}#replays")


def _page(
    request: HttpRequest,
    wanted: Limitation,
    *,
    form: LimitationForm | None = None,
    replay_form: ReplayForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = request.user
    is_maintainer = isinstance(user, User) and user.has_role(Role.MAINTAINER)
    counted = limitations_of(wanted.card).get(pk=wanted.pk)
    context: dict[str, Any] = {
        "limitation": counted,
        "said_me_too": said_me_too(current_actor(request), wanted),
        "replays": [(each, runs, replay_counts(runs)) for each, runs in replays_of(wanted)],
        "is_maintainer": is_maintainer,
    }
    if is_maintainer:
        context["page"] = Paginator(reports_of(wanted), REPORTS_PER_PAGE).get_page(request.GET.get("page"))
        context["form"] = form or LimitationForm(
            instance=counted, initial={"version": counted.version}, card=wanted.card
        )
        context["replay_form"] = replay_form or ReplayForm()
        context["address"] = reverse("reviews:change_limitation", args=[wanted.pk])
    return render(request, "reviews/limitation.html", context, status=status)


def _ids(texts: list[str]) -> list[str]:
    """Well-formed ids; what is none fits no report."""
    found = []
    for text in texts[:500]:
        try:
            found.append(str(uuid.UUID(text)))
        except ValueError:
            continue
    return found
