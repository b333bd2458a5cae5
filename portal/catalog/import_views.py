"""Maintainers bring models in: ask for an import, follow it live, stop it, see what became of earlier ones."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.accounts.models import User
from portal.catalog.access import may_maintain_cards
from portal.catalog.allowed_sources import allowed_kinds
from portal.catalog.forms import ImportForm
from portal.catalog.import_requests import start_import
from portal.catalog.import_source import SourceKind
from portal.catalog.job_models import Import

IMPORTS_PER_PAGE = 25
_OFFERED_AGAIN = ("kind", "source", "card", "file", "base", "model")


@require_http_methods(["GET", "HEAD", "POST"])
def imports(request: HttpRequest) -> HttpResponse:
    """All imports, newest first, and the form that asks for another."""
    maintainer = _maintainer(request)
    kinds = allowed_kinds()
    form = ImportForm(
        request.POST or None,
        kinds=kinds,
        initial={name: request.GET[name] for name in _OFFERED_AGAIN if name in request.GET},
    )
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            job, is_new = start_import(maintainer, **{**chosen, "kind": SourceKind(chosen["kind"])})
        except ValidationError as error:
            form.add_error(None, error)
        else:
            if not is_new:
                messages.info(request, _("This source is being imported already; here it is."))
            return redirect(job)
    listed = Import.objects.select_related("requested_by", "variant__card").defer("log")
    page = Paginator(listed, IMPORTS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "kinds": kinds}
    return render(request, "catalog/imports.html", context, status=422 if form.errors else 200)


@require_safe
def one_import(request: HttpRequest, pk: int) -> HttpResponse:
    """One import: where it stands, or what came of it. To htmx only the part that changes."""
    job = _import(request, pk)
    template = "catalog/import_state.html" if request.htmx else "catalog/import.html"  # type: ignore[attr-defined]
    response = render(request, template, {"job": job})
    response.headers["Cache-Control"] = "no-store"
    return response


@require_POST
def cancel_import(request: HttpRequest, pk: int) -> HttpResponse:
    """Stops an import; what has arrived of a download is kept for another try."""
    job = _import(request, pk)
    if job.request_cancel():
        messages.info(request, _("The import is being stopped."))
    return redirect(job)


def _maintainer(request: HttpRequest) -> User:
    if not may_maintain_cards(request.user):
        raise Http404
    assert isinstance(request.user, User)
    return request.user


def _import(request: HttpRequest, pk: int) -> Import:
    _maintainer(request)
    job = Import.objects.select_related("requested_by", "variant__card").filter(pk=pk).first()
    if job is None:
        raise Http404
    return job
