"""The queue: a list with filters and saved views, and the way to the next item."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.reviews.access import may_oversee, require_reviewer, require_staff
from portal.reviews.forms import SavedViewForm
from portal.reviews.models import SavedView
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.item_page import last_verdict
from portal.reviews.queries.items import judged_by, list_items, may_review
from portal.reviews.queries.measuring import ItemReader
from portal.reviews.queries.policy import shortage_of_reviewers
from portal.reviews.queries.queue_page import filter_choices, matches, open_counts, saved_views
from portal.reviews.queries.stalemates import stalemate
from portal.reviews.services.claims import claim_next
from portal.reviews.settling import Reason, Verdict


@never_cache
@require_http_methods(["GET", "HEAD"])
def queue(request: HttpRequest) -> HttpResponse:
    """Everything that is or was under review, newest first."""
    reviewer = require_staff(request)
    reader = ItemReader(reviewer)
    filters = QueueFilters.from_query(request.GET.dict())
    page = list_items(reader, filters, request.GET.get("before", ""))
    context = {
        "filters": filters,
        "query": filters.query(),
        "choices": filter_choices(filters),
        "page": page,
        "judged": judged_by(reviewer, page.items),
        "matches": matches(reader, filters) if filters.pairs else None,
        "counts": open_counts(reader),
        "shortage": shortage_of_reviewers(),
        # Said to those who can change it.
        "stalemate": stalemate() if may_oversee(reviewer) else None,
        "may_review": may_review(reviewer),
        "last": last_verdict(reviewer),
        "saved_views": saved_views(reviewer),
        "verdicts": [each for each in Verdict if each != Verdict.DUPLICATE],
        "reasons": Reason,
    }
    return render(request, "reviews/queue.html", context)


@require_POST
def next_item(request: HttpRequest) -> HttpResponse:
    """Take the next item that fits the filters, and go there."""
    reviewer = require_reviewer(request)
    filters = QueueFilters.from_form(request.POST)
    return go_to_next(request, claim_next(reviewer, filters), filters)


@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters under a name; the same name again replaces them."""
    reviewer = require_reviewer(request)
    filters = QueueFilters.from_form(request.POST)
    form = SavedViewForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Give the view a name of 1 to 60 characters."))
    else:
        try:
            with transaction.atomic():
                SavedView.objects.update_or_create(
                    owner=reviewer,
                    name=form.cleaned_data["name"],
                    defaults={"query": filters.query(), "is_shared": form.cleaned_data["is_shared"]},
                )
        except IntegrityError:
            # The same click twice at once: the other one saved it.
            pass
        messages.success(request, _("Saved “%(name)s”.") % {"name": form.cleaned_data["name"]})
    return redirect(f"{reverse('reviews:queue')}?{filters.query()}")


@require_POST
def delete_view(request: HttpRequest, view_id: int) -> HttpResponse:
    """Forget a saved view of one's own."""
    reviewer = require_reviewer(request)
    deleted, _by_model = SavedView.objects.filter(owner=reviewer, pk=view_id).delete()
    if not deleted:
        raise Http404
    return redirect("reviews:queue")


@require_http_methods(["GET", "HEAD"])
def guidelines(request: HttpRequest) -> HttpResponse:
    """How to judge, verdict by verdict."""
    require_staff(request)
    return render(request, "reviews/guidelines.html", {"reasons": Reason})


def go_to_next(request: HttpRequest, item: Any, filters: QueueFilters) -> HttpResponse:
    if item is None:
        messages.info(
            request,
            _(
                "Nothing waits for you here. What you judged or gave waits for others; what they hold comes back when "
                "their time runs out."
            ),
        )
        return redirect(f"{reverse('reviews:queue')}?{filters.query()}")
    return redirect(f"{item.get_absolute_url()}?{filters.query()}")
