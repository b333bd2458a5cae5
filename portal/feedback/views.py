"""The panel below an answer, and the list of what somebody gave."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from portal.accounts.actors import current_actor
from portal.accounts.limits import LimitExceeded
from portal.feedback.answer_rules import AnswersInvalid
from portal.feedback.forms import answers_from_form, panel_questions, shown_answers, version_from_form
from portal.feedback.models import Submission
from portal.feedback.queries import answer_questionnaire, contributions, own_submission
from portal.feedback.services import (
    GenerationNotJudgeable,
    VersionConflict,
    require_judgeable,
    submit_feedback,
    withdraw_feedback,
)
from portal.playground.access import get_generation
from portal.playground.models import Generation

CONTRIBUTIONS_PER_PAGE: Final = 25


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
def panel(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """GET shows the judgement on one's own answer, POST gives or changes it."""
    actor = current_actor(request)
    generation = get_generation(actor, generation_id)
    if request.method != "POST":
        return _panel(request, generation, own_submission(actor, generation))
    answers = answers_from_form(answer_questionnaire().questions.all(), request.POST)
    before = own_submission(actor, generation)
    try:
        submission = submit_feedback(actor, generation, answers, version_from_form(request.POST))
    except (AnswersInvalid, GenerationNotJudgeable, VersionConflict, LimitExceeded) as error:
        return _refused(request, generation, answers, error)
    if not _wants_partial(request):
        return redirect("feedback:panel", generation.pk)
    if before is not None and before.is_withdrawn:
        # Live again: the notice of the withdrawal and its undo have to go.
        return _replacing_panel(_panel(request, generation, submission, is_live_again=True))
    return render(request, "feedback/saved.html", {"generation": generation, "submission": submission})


@never_cache
@require_http_methods(["POST"])
def withdraw(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """Take the judgement back. The answer holds a form with what it said, so that this can be undone."""
    actor = current_actor(request)
    generation = get_generation(actor, generation_id)
    before = own_submission(actor, generation)
    if before is None:
        raise Http404
    taken_back = before.values()
    try:
        submission = withdraw_feedback(actor, generation)
    except LimitExceeded as error:
        return _refused(request, generation, taken_back, error)
    return _panel(request, generation, submission, taken_back=taken_back)


@never_cache
@require_http_methods(["GET", "HEAD"])
def contribution_list(request: HttpRequest) -> HttpResponse:
    """What I gave: every judgement of this person or this browser, and where it stands."""
    paginator = Paginator(contributions(current_actor(request)), CONTRIBUTIONS_PER_PAGE)
    page = paginator.get_page(request.GET.get("page"))
    given = [(submission, shown_answers(submission)) for submission in page]
    return render(request, "feedback/contributions.html", {"page": page, "given": given})


def _panel(
    request: HttpRequest,
    generation: Generation,
    submission: Submission | None,
    *,
    answers: Mapping[str, Any] | None = None,
    field_errors: Mapping[str, list[str]] | None = None,
    problem: str = "",
    taken_back: Mapping[str, Any] | None = None,
    is_live_again: bool = False,
    status: int = 200,
) -> HttpResponse:
    questions = list(answer_questionnaire().questions.all())
    if answers is None:
        answers = submission.values() if submission is not None else {}
    context = {
        "generation": generation,
        "submission": submission,
        "questions": panel_questions(questions, answers, field_errors),
        "taken_back": panel_questions(questions, taken_back) if taken_back else None,
        "problem": problem,
        "is_live_again": is_live_again,
        "unjudgeable": _why_unjudgeable(generation),
    }
    template = "feedback/panel.html" if _wants_partial(request) else "feedback/page.html"
    return render(request, template, context, status=status)


def _refused(
    request: HttpRequest, generation: Generation, answers: Mapping[str, Any], error: Exception
) -> HttpResponse:
    """The whole panel as it was sent, with what is wrong; a save that succeeds replaces its status line alone."""
    status, problem, field_errors = 422, "", None
    match error:
        case AnswersInvalid():
            field_errors = error.message_dict
        case GenerationNotJudgeable():
            status, problem = 409, " ".join(error.messages)
        case VersionConflict():
            status = 409
            problem = _(
                "You changed this judgement elsewhere since this form was loaded, so nothing was saved. Your entries "
                "are still here: save again to replace the other version."
            )
        case LimitExceeded():
            status, problem = 429, error.message
    submission = own_submission(current_actor(request), generation)
    response = _panel(
        request, generation, submission, answers=answers, field_errors=field_errors, problem=problem, status=status
    )
    if isinstance(error, LimitExceeded):
        response["Retry-After"] = str(error.retry_after_s)
    return _replacing_panel(response)


def _replacing_panel(response: HttpResponse) -> HttpResponse:
    """Tell htmx to swap the whole panel, where a save that succeeds swaps its status line."""
    response["HX-Retarget"] = "closest [data-feedback]"
    response["HX-Reswap"] = "outerHTML"
    return response


def _why_unjudgeable(generation: Generation) -> str:
    try:
        require_judgeable(generation)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _wants_partial(request: HttpRequest) -> bool:
    # htmx asks for the whole page when it restores one that is no longer in its history.
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"
