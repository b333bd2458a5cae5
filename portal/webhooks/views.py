"""The webhooks' pages: one's endpoints, and for each its settings, its secret once, and the log of its messages."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.models import User
from portal.webhooks.access import get_delivery, get_endpoint, may_have_webhooks, visible_endpoints
from portal.webhooks.forms import EndpointForm, NewEndpointForm
from portal.webhooks.models import Endpoint
from portal.webhooks.services import (
    EndpointDisabled,
    EndpointExists,
    change_endpoint,
    delete_endpoint,
    make_endpoint,
    ping,
    redeliver,
    roll_secret,
)

ENDPOINTS_PER_PAGE: Final = 20
MESSAGES_PER_PAGE: Final = 25


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def overview(request: HttpRequest) -> HttpResponse:
    """The endpoints, and the form for another one, whose secret is in the answer to its POST and nowhere else."""
    if not may_have_webhooks(request.user):
        raise Http404
    assert isinstance(request.user, User)
    form = NewEndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = make_endpoint(request.user, **form.cleaned_data)
        except EndpointExists:
            # A reload or a second click repeats the POST.
            messages.warning(request, _("This webhook was made before. Its secret was shown then, and only then."))
            return redirect("webhooks:endpoint", form.cleaned_data["endpoint_id"])
        except ValidationError as error:
            _add_errors(form, error)
        else:
            return _page(request, made, secret=secret)
    page = Paginator(visible_endpoints(request.user), ENDPOINTS_PER_PAGE).get_page(request.GET.get("page"))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "webhooks/overview.html", {"page": page, "form": form}, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def endpoint(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """One endpoint; a POST changes its settings."""
    shown = get_endpoint(request.user, endpoint_id)
    if request.method != "POST":
        return _page(request, shown)
    form = EndpointForm(request.POST)
    if form.is_valid():
        try:
            change_endpoint(shown, form.cleaned_data)
        except ValidationError as error:
            _add_errors(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect(shown)
    return _page(request, shown, form=form)


@require_POST
def send_ping(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """A message to try the endpoint."""
    shown = get_endpoint(request.user, endpoint_id)
    try:
        ping(shown)
    except EndpointDisabled as error:
        messages.error(request, str(error))
    else:
        messages.info(request, _("A ping is on its way. How it went will stand in the log below."))
    return redirect(shown)


@require_POST
def set_enabled(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Switches it on or off."""
    shown = get_endpoint(request.user, endpoint_id)
    change_endpoint(shown, {"enabled": request.POST.get("enabled") == "1"})
    return redirect(shown)


@never_cache
@require_POST
def new_secret(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """A new secret, in this answer and nowhere else."""
    shown = get_endpoint(request.user, endpoint_id)
    secret = roll_secret(shown)
    return _page(request, get_endpoint(request.user, endpoint_id), secret=secret)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Asks once, and deletes it."""
    shown = get_endpoint(request.user, endpoint_id)
    if request.method == "POST":
        delete_endpoint(shown)
        messages.success(request, _("The webhook “%(name)s” is deleted.") % {"name": shown.name})
        return redirect("webhooks:overview")
    return render(request, "webhooks/delete.html", {"endpoint": shown})


@require_POST
def send_again(request: HttpRequest, endpoint_id: uuid.UUID, message_id: str) -> HttpResponse:
    """A message once more, under its own id."""
    delivery = get_delivery(request.user, endpoint_id, message_id)
    try:
        if redeliver(delivery):
            messages.info(request, _("The message is sent again."))
        else:
            messages.warning(request, _("The message is being sent at this moment."))
    except EndpointDisabled as error:
        messages.error(request, str(error))
    return redirect(delivery.endpoint)


def _page(request: HttpRequest, shown: Endpoint, *, form: EndpointForm | None = None, secret: str = "") -> HttpResponse:
    sent = shown.deliveries.prefetch_related("attempts_made")
    context: dict[str, Any] = {
        "endpoint": shown,
        "form": form or EndpointForm(initial={"name": shown.name, "url": shown.url, "kinds": shown.kinds}),
        "secret": secret,
        "page": Paginator(sent, MESSAGES_PER_PAGE).get_page(request.GET.get("page")),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form is not None else HTTPStatus.OK
    return render(request, "webhooks/endpoint.html", context, status=status)


def _add_errors(form: forms.Form, error: ValidationError) -> None:
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, problems in error.message_dict.items():
        form.add_error(name if name in form.fields else None, problems)
