"""The exports' pages: the tables and how to take them, snapshots as they are made and as they stay."""

from __future__ import annotations

import uuid
from typing import Final

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
from portal.exports.access import get_snapshot, may_make_snapshots, require_maker, visible_snapshots
from portal.exports.criteria import InvalidCriterion
from portal.exports.downloads import Download
from portal.exports.formats import FORMATS
from portal.exports.forms import SnapshotForm, TableForm
from portal.exports.models import Snapshot
from portal.exports.services import repeat_snapshot, start_snapshot
from portal.exports.snapshot_files import file_response, tombstones_response
from portal.exports.snapshot_records import difference, gone
from portal.exports.streaming import stream_export
from portal.exports.tables import TABLES, ExportTable, Plan

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
    shown = TABLES[name]
    # Nothing is asked for yet, so nothing is missing either: one table cannot be read without a questionnaire.
    form = TableForm(request.GET or None, filters=shown.filters)
    plan = _plan(shown, form) if form.is_valid() else None
    if plan is None or "download" not in request.GET:
        context = {
            "table": shown,
            "form": form,
            "expected": _expected(plan),
            "key": form["key"].value() or uuid.uuid4(),
        }
        return render(request, "exports/table.html", context, status=400 if form.errors else 200)
    assert isinstance(request.user, User)
    key = form.cleaned_data["key"]
    download = Download(request.user, key) if key is not None else None
    return stream_export(request, name, plan, FORMATS[form.cleaned_data["format"] or "jsonl"], download)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def download(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """How far one's own download is, as a part of its page; a POST stops it."""
    assert isinstance(request.user, User)
    shown = Download(request.user, key)
    if request.method == "POST":
        shown.stop()
    context = {"key": key, "progress": shown.progress(), "is_being_stopped": request.method == "POST"}
    response = render(request, "exports/download.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response


def _plan(shown: ExportTable, form: TableForm) -> Plan | None:
    """What the form asks for; None, and an error beside the field, where that cannot be."""
    try:
        return shown.plan(form.cleaned_data["criteria"])
    except InvalidCriterion as error:
        form.add_error(error.parameter if error.parameter in form.fields else None, error.limit)
        return None


def _expected(plan: Plan | None) -> int | None:
    return plan.expected() if plan is not None and plan.expected is not None else None


@require_http_methods(["GET", "HEAD", "POST"])
def new_snapshot(request: HttpRequest) -> HttpResponse:
    """The form that asks for a snapshot."""
    maker = require_maker(request.user)
    form = SnapshotForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        try:
            snapshot = start_snapshot(
                maker,
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
    shown = get_snapshot(require_maker(request.user), pk)
    if shown.request_cancel():
        messages.info(request, _("The snapshot is being stopped."))
    return redirect(shown)


@require_POST
def remake_snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    """Makes one that failed or was stopped once more."""
    maker = require_maker(request.user)
    shown = get_snapshot(maker, pk)
    try:
        repeat_snapshot(maker, shown)
    except ValidationError as error:
        messages.error(request, error.messages[0])
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
    context = {
        "earlier": earlier,
        "later": later,
        "difference": difference(earlier, later),
        "rows": rows,
        # Then most of what one has and the other has not was never chosen for both.
        "differ_in": _chosen_differently(earlier, later),
    }
    return render(request, "exports/compare.html", context)


def _chosen_differently(earlier: Snapshot, later: Snapshot) -> list[str]:
    """In what the two were made differently: tables, filters."""
    found = []
    if set(earlier.tables) != set(later.tables):
        found.append(_("tables"))
    if {**earlier.criteria, "until": ""} != {**later.criteria, "until": ""}:
        found.append(_("filters"))
    return found


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
