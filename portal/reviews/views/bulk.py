"""Many items at once: first a page that says what would happen, then doing it."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from portal.accounts.models import User
from portal.reviews.access import require_operator, require_reviewer, require_staff
from portal.reviews.forms import item_numbers, judgement_from_form
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.services.bulk import (
    MOST_ITEMS,
    check_many,
    judge_many,
    preview_quarantine,
    preview_verdict,
    quarantine,
)
from portal.reviews.settling import Reason, Verdict

ACTIONS: Final = ("verdict", "quarantine", "release")


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """`confirmed` does it; without it, the page shows what would be done and asks."""
    person = require_staff(request)
    action = request.POST.get("action", "")
    if action not in ACTIONS:
        raise Http404
    # A verdict is a reviewer's, a quarantine an operator's.
    if action == "verdict":
        require_reviewer(request)
    else:
        require_operator(request)
    items = item_numbers(request.POST)
    back = f"{reverse('reviews:queue')}?{QueueFilters.from_form(request.POST).query()}"
    if not items or len(items) > MOST_ITEMS:
        messages.error(request, _("Choose 1 to %(limit)d items first.") % {"limit": MOST_ITEMS})
        return redirect(back)
    try:
        return (
            _done(request, person, action, items, back)
            if request.POST.get("confirmed")
            else _preview(request, person, action, items)
        )
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(back)


def _preview(request: HttpRequest, person: User, action: str, items: list[int]) -> HttpResponse:
    judgement = judgement_from_form(request.POST)
    if action == "verdict":
        check_many(person, items, judgement)
        effect = preview_verdict(person, items, judgement)
    else:
        effect = preview_quarantine(items, release=action == "release")
    context = {
        "action": action,
        "items": items,
        "judgement": judgement,
        "verdict": dict(Verdict.choices).get(judgement.verdict, ""),
        "reason": dict(Reason.choices).get(judgement.reason, "") if judgement.verdict == Verdict.REJECT else "",
        "effect": effect,
        "filters": QueueFilters.from_form(request.POST),
    }
    return render(request, "reviews/bulk.html", context)


def _done(request: HttpRequest, person: User, action: str, items: list[int], back: str) -> HttpResponse:
    if action == "verdict":
        done = judge_many(person, items, judgement_from_form(request.POST)).done
    else:
        done = quarantine(person, items, release=action == "release")
    text = ngettext("%(count)d item was changed.", "%(count)d items were changed.", done) % {"count": done}
    messages.success(request, text)
    return redirect(back)
