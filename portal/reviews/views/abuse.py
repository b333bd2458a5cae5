"""Operators against abuse: what shows signs of it, blocks, and measures on all of one person's, after a preview."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.models import User
from portal.reviews.access import require_operator
from portal.reviews.models import Block
from portal.reviews.queries.rings import vote_rings
from portal.reviews.queries.suspicion import from_network, marked_networks, suspects
from portal.reviews.services.abuse import (
    Person,
    block_contributor,
    lift_block,
    quarantine_contributor,
    revert_reviewer,
    verdicts_of,
)
from portal.reviews.services.bulk import MOST_ITEMS

MAX_DAYS = 3_650
ACTIONS = ("block", "quarantine", "release", "revert")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def abuse(request: HttpRequest) -> HttpResponse:
    """POST previews a measure against one person or network, or takes it when it is confirmed."""
    operator = require_operator(request)
    context: dict[str, Any] = {"sent": request.POST, "status": 200}
    if request.method == "POST":
        try:
            done = _measure(request, operator, context)
        except ValidationError as error:
            context |= {"errors": error.message_dict, "status": 422}
        else:
            if done:
                messages.success(request, done)
                return redirect("reviews:abuse")
    context |= {
        "suspects": suspects(),
        "networks": marked_networks(),
        "rings": vote_rings(),
        "blocks": Block.objects.filter(lifted_at=None).select_related("owner", "created_by")[:100],
    }
    return render(request, "reviews/abuse.html", context, status=context["status"])


@require_POST
def lift(request: HttpRequest, block_id: int) -> HttpResponse:
    """Let somebody give again."""
    operator = require_operator(request)
    if lift_block(operator, get_object_or_404(Block, pk=block_id)):
        messages.success(request, _("The block is lifted."))
    return redirect("reviews:abuse")


def _measure(request: HttpRequest, operator: User, context: dict[str, Any]) -> str:
    """What was done, in words; or nothing, with the preview in the context."""
    action = request.POST.get("action", "")
    if action not in ACTIONS:
        raise Http404
    person = Person.named(request.POST.get("person", ""))
    if action == "block" and person.network and not request.POST.get("confirmed"):
        # Who they are is not known, so whom it would meet is shown before it does.
        context |= {"network": from_network(person.network), "person": request.POST["person"], "action": action}
        return ""
    if action == "block":
        block_contributor(operator, person, request.POST.get("reason", ""), _until(request.POST.get("days", "")))
        return _("Blocked. They read the reason when they try to give something.")
    if action == "revert" and person.user is None:
        raise ValidationError({"person": [_("Only an account can have given verdicts.")]})
    if not request.POST.get("confirmed"):
        if action == "revert" and person.user is not None:
            items = verdicts_of(person.user)
        else:
            items = person.items(are_out=action == "release")
        context |= {
            "preview": items,
            "is_bounded": len(items) == MOST_ITEMS,
            "person": request.POST.get("person", ""),
            "action": action,
        }
        return ""
    if action == "revert" and person.user is not None:
        count = revert_reviewer(operator, person.user)
    else:
        count = quarantine_contributor(operator, person, release=action == "release")
    return ngettext("%(count)d item was changed.", "%(count)d items were changed.", count) % {"count": count}


def _until(days: str) -> Any:
    if not days.strip():
        return None
    if not (days.isascii() and days.isdigit() and 1 <= int(days[:5]) <= MAX_DAYS and len(days) <= len(str(MAX_DAYS))):
        raise ValidationError({"days": [_("Must be a whole number from 1 to %(limit)d.") % {"limit": MAX_DAYS}]})
    return timezone.now() + timedelta(days=int(days))
