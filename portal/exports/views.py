"""The exports' pages: the tables and how to take them, snapshots as they are made and as they stay."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.accounts.models import User
from portal.exports.access import get_snapshot, may_make_snapshots, visible_snapshots
from portal.exports.criteria import PARAMETERS, Criteria, InvalidCriterion
from portal.exports.formats import FORMATS, ExportFormat
from portal.exports.forms import SnapshotForm
from portal.exports.models import Snapshot
from portal.exports.services import start_snapshot
from portal.exports.snapshot_files import file_response, tombstones_response
from portal.exports.snapshot_records import difference, gone
from portal.exports.streaming import stream_export
from portal.exports.tables import TABLES

SNAPSHOTS_PER_PAGE: Final = 20


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """What can be taken: published snapshots, and each table as it is now."""
    page = Paginator(visible_snapshots(request.user), SNAPSHOTS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "tables": TABLES.values(),
        "formats": [name for name in FORMATS if name != "json"],
        "may_make": may_make_snapshots(request.user),
    }
    return render(request, "exports/overview.html", context)


@login_required
@require_safe
def table(request: HttpRequest, name: str) -> HttpResponseBase:
    """One table as it is now, as a file: what the API streams, for who is signed in."""
    if name not in TABLES:
        raise Http404
    if not request.GET:
        # Nothing is asked for yet, so nothing is missing either: one table cannot be read without a questionnaire.
        return render(request, "exports/table.html", _table_context(name, request))
    texts = {key: str(value) for key, value in request.GET.dict().items() if key in PARAMETERS and value}
    try:
        form = _format(request.GET.get("format", "jsonl"))
        plan = TABLES[name].plan(Criteria.from_texts(texts))
    except InvalidCriterion as error:
        messages.error(request, f"{error.parameter}: {error.limit}")
        return render(request, "exports/table.html", _table_context(name, request), status=400)
    if "download" not in request.GET:
        return render(request, "exports/table.html", _table_context(name, request))
    return stream_export(request, name, plan, form)


def _format(name: str) -> ExportFormat:
    if name not in FORMATS:
        raise InvalidCriterion("format", _("Must be one of: %s.") % ", ".join(FORMATS))
    return FORMATS[name]


def _table_context(name: str, request: HttpRequest) -> dict[str, Any]:
    shown = TABLES[name]
    filters = [parameter for parameter in PARAMETERS if parameter in shown.filters]
    return {
        "table": shown,
        "filters": [(parameter, request.GET.get(parameter, "")) for parameter in filters],
        "formats": list(FORMATS),
        "chosen": request.GET.get("format", "jsonl"),
    }


@require_http_methods(["GET", "HEAD", "POST"])
def new_snapshot(request: HttpRequest) -> HttpResponse:
    """The form that asks for a snapshot."""
    if not may_make_snapshots(request.user):
        raise Http404
    assert isinstance(request.user, User)
    form = SnapshotForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            snapshot = start_snapshot(
                request.user,
                **{name: chosen[name] for name in ("title", "note", "tables", "salting", "redacts", "criteria")},
            )
        except ValidationError as error:
            _add_errors(form, error)
        else:
            return redirect(snapshot)
    return render(request, "exports/new_snapshot.html", {"form": form}, status=422 if form.errors else 200)


def _add_errors(form: SnapshotForm, error: ValidationError) -> None:
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for name, problems in error.message_dict.items():
        form.add_error(name if name in form.fields else None, problems)


@require_safe
def snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    """One snapshot: how far it is, or what it holds. To htmx only the part that changes."""
    shown = get_snapshot(request.user, pk)
    template = "exports/snapshot_state.html" if request.htmx else "exports/snapshot.html"  # type: ignore[attr-defined]
    context = {"snapshot": shown, "may_make": may_make_snapshots(request.user)}
    if shown.is_published:
        context["gone"] = gone(shown).count()
        context["others"] = visible_snapshots(None).exclude(pk=shown.pk).defer("manifest")[:50]
    response = render(request, template, context)
    response.headers["Cache-Control"] = "no-store"
    return response


@require_POST
def cancel_snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    """Stops one that is being made."""
    if not may_make_snapshots(request.user):
        raise Http404
    shown = get_snapshot(request.user, pk)
    if shown.request_cancel():
        messages.info(request, _("The snapshot is being stopped."))
    return redirect(shown)


@require_safe
def compare_snapshots(request: HttpRequest, pk: int) -> HttpResponse:
    """What changed between two published snapshots, from the one with the lower number."""
    shown = _published(request, pk)
    try:
        other = _published(request, int(request.GET.get("with", "")))
    except ValueError:
        raise Http404 from None
    earlier, later = sorted((shown, other), key=lambda each: each.number or 0)
    rows = [
        (name, earlier.manifest["rows"].get(name), later.manifest["rows"].get(name))
        for name in TABLES
        if name in earlier.manifest["rows"] or name in later.manifest["rows"]
    ]
    context = {"earlier": earlier, "later": later, "difference": difference(earlier, later), "rows": rows}
    return render(request, "exports/compare.html", context)


@login_required
@require_safe
def snapshot_file(request: HttpRequest, pk: int, path: str) -> HttpResponseBase:
    """One file of a published snapshot."""
    assert isinstance(request.user, User)
    return file_response(request, _published(request, pk), path, request.user)


@login_required
@require_safe
def tombstones(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What of a published snapshot was withdrawn since."""
    return tombstones_response(request, _published(request, pk))


def _published(request: HttpRequest, pk: int) -> Snapshot:
    shown = get_snapshot(request.user, pk)
    if not shown.is_published:
        raise Http404
    return shown
