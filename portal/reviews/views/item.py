"""One item: everything a reviewer needs to judge it, the verdict, and the next one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.arena.forms import REASONS
from portal.feedback.question_display import form_questions, shown_answers
from portal.playground.inside import read_tokens
from portal.playground.queries import trace_tokens
from portal.reviews.access import get_item, require_maintainer, require_reviewer, require_staff
from portal.reviews.forms import claim_number_from_form, judgement_as_given, judgement_from_form, own_answers_from_form
from portal.reviews.models import Review, ReviewItem
from portal.reviews.queries.filters import QueueFilters
from portal.reviews.queries.item_page import item_page, runs_of
from portal.reviews.queries.items import may_review
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.verdicts import (
    LABELS,
    ClaimLost,
    Judgement,
    UndoRefused,
    mark_gold,
    questions_of,
    record_verdict,
    reopen_item,
    undo_verdict,
)
from portal.reviews.settling import Reason, Verdict
from portal.reviews.views.queue import go_to_next

TOKENS_PER_PAGE: Final = 100
_FIELDS: Final = {
    "verdict": gettext_lazy("Verdict"),
    "reason": gettext_lazy("Why it is rejected"),
    "duplicate_of": gettext_lazy("Number of the item that it repeats"),
    "note": gettext_lazy("Note or question"),
    "labels": gettext_lazy("Labels"),
    "answers": gettext_lazy("Your own answers"),
}


@never_cache
@require_http_methods(["GET", "HEAD"])
def item(request: HttpRequest, item_id: int) -> HttpResponse:
    """The run, what was said about it, what is like it; the verdict's form for who holds it."""
    reviewer = require_staff(request)
    return _page(request, reviewer, get_item(item_id))


@never_cache
@require_http_methods(["GET", "HEAD"])
def inside(request: HttpRequest, item_id: int, place: int) -> HttpResponse:
    """The tokens of the item's run (or of one of the two compared), with what the model thought of each."""
    require_staff(request)
    wanted = get_item(item_id)
    submission = wanted.submission
    # A vote's tokens would tell whose they are.
    runs = runs_of(submission) if submission is not None and not submission.is_withdrawn else []
    if not 1 <= place <= len(runs):
        raise Http404
    run = runs[place - 1]
    tokens = Paginator(read_tokens(trace_tokens(run), given=len(run.opening)), TOKENS_PER_PAGE)
    page = tokens.get_page(request.GET.get("page"))
    rows = [(token, None if token.probability is None else 100 * token.probability) for token in page]
    context = {"item": wanted, "run": run, "page": page, "rows": rows}
    return render(request, "reviews/inside.html", context)


@require_POST
def claim(request: HttpRequest, item_id: int) -> HttpResponse:
    """Take this very item."""
    reviewer = require_reviewer(request)
    wanted = get_item(item_id)
    if not claim_item(reviewer, wanted):
        messages.error(request, _("You cannot take this item: somebody holds it, or it is not yours to judge."))
    return redirect(_address(request, wanted))


@require_POST
def skip(request: HttpRequest, item_id: int) -> HttpResponse:
    """Give the item back and take the next one."""
    reviewer = require_reviewer(request)
    filters = QueueFilters.from_form(request.POST)
    get_item(item_id).release(reviewer)
    return go_to_next(request, claim_next(reviewer, filters, skip=item_id), filters)


@require_POST
def renew(request: HttpRequest, item_id: int) -> HttpResponse:
    """The page says that somebody is still at it."""
    reviewer = require_reviewer(request)
    held = get_item(item_id)
    return JsonResponse({"held": held.renew(reviewer, held.policy.lease)})


@require_POST
def verdict(request: HttpRequest, item_id: int) -> HttpResponse:
    """Record the verdict and go to the next item; a refused one is shown again as it was sent."""
    reviewer = require_reviewer(request)
    filters = QueueFilters.from_form(request.POST)
    judged = get_item(item_id)
    questions = questions_of(judged)
    judgement = judgement_from_form(request.POST, own_answers_from_form(questions, request.POST))
    try:
        record_verdict(reviewer, item_id, claim_number_from_form(request.POST), judgement)
    except ReviewItem.DoesNotExist as error:
        raise Http404 from error
    except ValidationError as error:
        return _page(request, reviewer, get_item(item_id), sent=judgement, errors=error.message_dict, status=422)
    except ClaimLost as error:
        return _page(request, reviewer, get_item(item_id), sent=judgement, problem=str(error), status=409)
    if judged.vote is not None:
        _tell_names(request, judged)
    return go_to_next(request, claim_next(reviewer, filters), filters)


@require_POST
def undo(request: HttpRequest, review_id: int) -> HttpResponse:
    """Take one's own verdict back; the item opens again."""
    reviewer = require_reviewer(request)
    try:
        reopened = undo_verdict(reviewer, review_id)
    except Review.DoesNotExist as error:
        raise Http404 from error
    except UndoRefused as error:
        messages.error(request, str(error))
        return redirect("reviews:queue")
    messages.success(request, _("Undone. The verdict does not count any more; give another one."))
    return redirect(_address(request, reopened))


@require_POST
def reopen(request: HttpRequest, item_id: int) -> HttpResponse:
    """A maintainer sets all verdicts aside."""
    maintainer = require_maintainer(request)
    wanted = get_item(item_id)
    if reopen_item(maintainer, item_id):
        messages.success(request, _("Reopened: the verdicts are set aside, and the item waits anew."))
    else:
        messages.info(request, _("There was nothing to reopen."))
    return redirect(_address(request, wanted))


@require_POST
def gold(request: HttpRequest, item_id: int) -> HttpResponse:
    """A maintainer makes a decided item one that reviewers are measured by."""
    maintainer = require_maintainer(request)
    wanted = get_item(item_id)
    try:
        mark_gold(maintainer, item_id, request.POST.get("note", ""))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("Reviewers now meet this item unmarked among the others."))
    return redirect(_address(request, wanted))


def _page(
    request: HttpRequest,
    reviewer: User,
    wanted: ReviewItem,
    *,
    sent: Judgement | None = None,
    errors: dict[str, list[str]] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    is_sent = request.method == "POST"
    filters = QueueFilters.from_form(request.POST) if is_sent else QueueFilters.from_query(request.GET.dict())
    page = item_page(wanted, reviewer)
    if sent is None and page.is_held and page.undone is not None:
        sent = judgement_as_given(page.undone)
    context: dict[str, Any] = {
        "item": page.item,
        "submission": wanted.submission,
        "vote": wanted.vote,
        "vote_reasons": [label for key, label in REASONS if wanted.vote is not None and key in wanted.vote.reasons],
        "subject": wanted.subject,
        "answers": shown_answers(wanted.submission) if wanted.submission is not None else [],
        "page": page,
        "own_questions": form_questions(questions_of(wanted), sent.answers if sent else {}, errors),
        "query": filters.query(),
        "filters": filters,
        "verdicts": Verdict,
        "reasons": Reason,
        "labels": LABELS,
        "sent": sent,
        "errors": errors or {},
        "told_errors": [(_field_name(key, wanted), texts) for key, texts in (errors or {}).items()],
        "problem": problem,
        "may_review": may_review(reviewer),
        "is_maintainer": reviewer.has_role(Role.MAINTAINER),
        "is_operator": reviewer.has_role(Role.OPERATOR),
    }
    return render(request, "reviews/item.html", context, status=status)


def _field_name(key: str, item: ReviewItem) -> str:
    """What the form calls a field, or a question of the reviewer's own answers."""
    labels = {question.key: question.label for question in questions_of(item)}
    return str(_FIELDS.get(key) or labels.get(key, key))


def _tell_names(request: HttpRequest, judged: ReviewItem) -> None:
    """Blind until the verdict; then the names."""
    vote = judged.vote
    assert vote is not None
    names = {"number": judged.pk, "a": vote.variant_a.model_id, "b": vote.variant_b.model_id}
    messages.info(request, _("On #%(number)d, A was %(a)s and B was %(b)s.") % names)


def _address(request: HttpRequest, wanted: ReviewItem) -> str:
    query = QueueFilters.from_form(request.POST).query()
    return f"{reverse('reviews:item', args=[wanted.pk])}?{query}"
