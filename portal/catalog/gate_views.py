"""A card's gate: ask for access, and for maintainers the requests, their answers and the gate itself."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.accounts.models import User
from portal.catalog.access import get_card, get_maintained_card, may_maintain_cards, may_run
from portal.catalog.gate_forms import AccessForm, AnswerForm, GateForm, GrantForm
from portal.catalog.gating import answer_request, gate_terms_of, grant_access, request_access, set_gate
from portal.catalog.models import AccessState, Gate, ModelCard

REQUESTS_PER_PAGE: Final = 50


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def access(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """What a card asks of who wants to run its model, and how one's own request stands."""
    card = get_card(request.user, owner_name, slug)
    if request.method == "POST":
        return _ask(request, owner_name, slug)
    return _access_page(request, card, AccessForm(terms=gate_terms_of(card)))


@login_required
def _ask(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    card = get_card(request.user, owner_name, slug)
    form = AccessForm(request.POST, terms=gate_terms_of(card))
    if not form.is_valid():
        return _access_page(request, card, form, status=422)
    assert isinstance(request.user, User)
    try:
        asked = request_access(card, request.user, form.answers())
    except ValidationError as error:
        form.add_error(None, error)
        return _access_page(request, card, form, status=422)
    if asked.state == AccessState.GRANTED:
        messages.success(request, _("You may run this model now."))
        return redirect(card)
    messages.success(request, _("Your request is with the maintainers. This page says how it stands."))
    return redirect("catalog:access", owner_name, slug)


def _access_page(request: HttpRequest, card: ModelCard, form: AccessForm, *, status: int = 200) -> HttpResponse:
    user = request.user
    own = card.access_requests.filter(user=user).order_by("-created_at", "-pk") if isinstance(user, User) else []
    context = {
        "card": card,
        "terms": gate_terms_of(card),
        "form": form,
        "latest": next(iter(own), None),
        "may_run": may_run(user, card),
        "may_maintain": may_maintain_cards(user),
        "states": AccessState,
    }
    return render(request, "catalog/access.html", context, status=status)


@never_cache
@require_safe
def access_requests(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """All requests for a card, those that wait first; for maintainers alone."""
    return _requests_page(request, get_maintained_card(request.user, owner_name, slug))


def _requests_page(request: HttpRequest, card: ModelCard, *, status: int = 200, **more: Any) -> HttpResponse:
    state = request.GET.get("state", "")
    rows = card.access_requests.select_related("user", "decided_by")
    if state in AccessState.values:
        rows = rows.filter(state=state)
    counts: dict[str, int] = {}
    for each in card.access_requests.values_list("state", flat=True):
        counts[each] = counts.get(each, 0) + 1
    context = {
        "card": card,
        "page": Paginator(rows, REQUESTS_PER_PAGE).get_page(request.GET.get("page")),
        "state": state,
        "choices": [(value, label, counts.get(value, 0)) for value, label in AccessState.choices],
        "gate_form": GateForm(initial={"gate": card.gate}),
        "grant_form": GrantForm(),
    }
    return render(request, "catalog/access_requests.html", context | more, status=status)


@require_POST
def answer(request: HttpRequest, owner_name: str, slug: str, request_id: int) -> HttpResponse:
    """A maintainer's answer to one request."""
    card = get_maintained_card(request.user, owner_name, slug)
    asked = card.access_requests.select_related("user").filter(pk=request_id).first()
    if asked is None:
        raise Http404
    form = AnswerForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Say grant, decline or revoke, with a reason of at most 500 characters."))
        return redirect("catalog:access-requests", owner_name, slug)
    try:
        state = answer_request(asked, form.cleaned_data["action"], _maintainer(request), form.cleaned_data["reason"])
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("catalog:access-requests", owner_name, slug)
    messages.success(request, _("%(user)s: %(state)s.") % {"user": asked.user, "state": state.label})
    return redirect("catalog:access-requests", owner_name, slug)


@require_POST
def grant(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """Lets somebody in who did not ask."""
    card = get_maintained_card(request.user, owner_name, slug)
    form = GrantForm(request.POST)
    if not form.is_valid():
        return _requests_page(request, card, status=422, grant_form=form)
    grant_access(card, form.cleaned_data["username"], _maintainer(request))
    messages.success(request, _("%(user)s may run this model.") % {"user": form.cleaned_data["username"]})
    return redirect("catalog:access-requests", owner_name, slug)


@require_POST
def gate(request: HttpRequest, owner_name: str, slug: str) -> HttpResponse:
    """Opens or closes the gate."""
    card = get_maintained_card(request.user, owner_name, slug)
    form = GateForm(request.POST)
    if not form.is_valid():
        return _requests_page(request, card, status=422, gate_form=form)
    set_gate(card, Gate(form.cleaned_data["gate"]))
    messages.success(request, Gate(card.gate).label)
    return redirect("catalog:access-requests", owner_name, slug)


def _maintainer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # get_maintained_card let nobody else pass
    return request.user
