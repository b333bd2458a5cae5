"""Pages that look at reviewing as a whole: the overview, agreement, the rules, the history."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.reviews.access import require_maintainer, require_operator, require_overseer
from portal.reviews.forms import PolicyForm, needed_from_form
from portal.reviews.queries.agreeing import agreement_report
from portal.reviews.queries.events import TARGETS, history_page
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.overview import count_rows, overview
from portal.reviews.queries.policy import current_policy, waiting_otherwise
from portal.reviews.queries.queue_page import filter_choices
from portal.reviews.queries.told_history import ACTIONS, thing_name
from portal.reviews.services.bulk import MOST_ITEMS
from portal.reviews.services.rules import change_rules
from portal.reviews.services.waiting import RulesChanged, apply_needed_reviews

FACETS = ("card", "variant", "campaign", "questionnaire", "language")


@never_cache
@require_http_methods(["GET", "HEAD"])
def overview_page(request: HttpRequest) -> HttpResponse:
    """Inflow, backlog, time, acceptance and reasons, each linked to the rows behind it."""
    require_overseer(request)
    filters = QueueFilters.from_query(request.GET.dict())
    choices = [choice for choice in filter_choices(filters) if choice.name in FACETS]
    return render(request, "reviews/overview.html", {"overview": overview(filters), "choices": choices})


@require_http_methods(["GET", "HEAD"])
def overview_file(request: HttpRequest) -> StreamingHttpResponse:
    """The counts behind the overview, one row each."""
    require_overseer(request)
    filters = QueueFilters.from_query(request.GET.dict())
    return StreamingHttpResponse(
        _csv_lines(count_rows(filters)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="review-counts.csv"'},
    )


@never_cache
@require_http_methods(["GET", "HEAD"])
def agreement_page(request: HttpRequest) -> HttpResponse:
    """Krippendorff's alpha with intervals, and who confuses what."""
    require_maintainer(request)
    filters = QueueFilters.from_query(request.GET.dict())
    return render(request, "reviews/agreement.html", {"report": agreement_report(filters.since, filters.until)})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rules_page(request: HttpRequest) -> HttpResponse:
    """The rules of entry; saving makes the next version."""
    maintainer = require_maintainer(request)
    policy = current_policy()
    needed_before = policy.needed_reviews
    form = PolicyForm(request.POST or None, instance=policy)
    if request.method == "POST" and form.is_valid():
        changed = change_rules(maintainer, form.cleaned_data)
        messages.success(request, _("Version %(number)d of the rules is in force.") % {"number": changed.version})
        waits = changed.needed_reviews != needed_before and waiting_otherwise(changed.needed_reviews).count
        return redirect(reverse("reviews:rules") + ("#waiting" if waits else ""))
    status = 422 if request.method == "POST" else 200
    context = {
        "form": form,
        "policy": policy,
        "waiting": waiting_otherwise(current_policy().needed_reviews),
        "most_items": MOST_ITEMS,
    }
    return render(request, "reviews/rules.html", context, status=status)


@require_POST
def apply_rules(request: HttpRequest) -> HttpResponse:
    """The number of reviewers that the rules ask for, to what waits under another; the page of rules previews it."""
    maintainer = require_maintainer(request)
    try:
        applied = apply_needed_reviews(maintainer, needed_from_form(request.POST))
    except RulesChanged:
        messages.error(request, _("The rules were changed meanwhile, so nothing was done. Look at them again."))
    else:
        text = ngettext("%(count)d item was changed.", "%(count)d items were changed.", applied.changed)
        messages.success(request, text % {"count": applied.changed})
        if applied.held:
            held = ngettext(
                "%(count)d was left, because somebody is at it right now.",
                "%(count)d were left, because somebody is at them right now.",
                applied.held,
            )
            messages.info(request, held % {"count": applied.held})
    return redirect("reviews:rules")


@never_cache
@require_http_methods(["GET", "HEAD"])
def history(request: HttpRequest) -> HttpResponse:
    """Who did what to which row, and when."""
    require_operator(request)
    asked = {name: request.GET.get(name, "").strip() for name in ("target", "target_id", "actor", "action")}
    page = history_page(**asked, before=request.GET.get("before", ""))
    context = {
        "page": page,
        "asked": asked,
        "targets": [(target, thing_name(target)) for target in TARGETS],
        "actions": ACTIONS,
    }
    return render(request, "reviews/history.html", context)


class _Echo:
    """What a CSV writer writes to; the line is its answer."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow(row)
