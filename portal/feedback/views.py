"""The panel below an answer: a thumb in one click, then axes, reasons and a comment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from portal.accounts.actors import current_actor
from portal.accounts.limits import Blocked, LimitExceeded
from portal.feedback.answer_rules import AnswersInvalid
from portal.feedback.answer_values import KINDS_ON_TEXT
from portal.feedback.given_form import GivenForm, read_given
from portal.feedback.models import Question, Questionnaire, Submission
from portal.feedback.queries import answer_questionnaire, own_submission
from portal.feedback.question_display import form_questions
from portal.feedback.services import (
    AlreadyReviewed,
    GenerationNotJudgeable,
    VersionConflict,
    require_judgeable,
    revise_feedback,
)
from portal.feedback.terms import shown_terms
from portal.feedback.withdrawing import withdraw_feedback
from portal.playground.access import get_generation
from portal.playground.models import Generation


@never_cache
@vary_on_headers("HX-Request")
@require_http_methods(["GET", "HEAD", "POST"])
def panel(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """GET shows the judgement on one's own answer, POST gives or changes it."""
    actor = current_actor(request)
    generation = get_generation(actor, generation_id)
    before = own_submission(actor, generation)
    if request.method == "POST":
        return _give(request, generation, before)
    return _panel(request, generation, before)


def _give(request: HttpRequest, generation: Generation, before: Submission | None) -> HttpResponse:
    questionnaire = answer_questionnaire()
    questions = _panel_questions(questionnaire)
    given = read_given(questions, request.POST, known=generation.output)
    if given.unseen or given.errors:
        return _replacing_panel(
            _panel(
                request,
                generation,
                before,
                answers=given.answers,
                field_errors=given.errors,
                given=given,
                status=422,
            )
        )
    # What is said elsewhere, such as a corrected answer, stays.
    changes = {question.key: given.answers.get(question.key) for question in questions}
    try:
        submission = revise_feedback(
            current_actor(request), generation, changes, given.version, given.terms, questionnaire
        )
    except (AnswersInvalid, GenerationNotJudgeable, AlreadyReviewed, VersionConflict, LimitExceeded, Blocked) as error:
        return _refused(request, generation, given.answers, error)
    if not _wants_partial(request):
        return redirect("feedback:panel", generation.pk)
    is_live_again = before is not None and before.is_withdrawn
    if is_live_again or "seen" in request.POST:
        # The notice of the withdrawal and its undo, or of what looked like personal data, has to go.
        return _replacing_panel(_panel(request, generation, submission, is_live_again=is_live_again))
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


def _panel_questions(questionnaire: Questionnaire) -> list[Question]:
    """What is asked below an answer; what is about its words needs it beside, on a page of its own."""
    return [question for question in questionnaire.questions.all() if question.kind not in KINDS_ON_TEXT]


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
    given: GivenForm | None = None,
    status: int = 200,
) -> HttpResponse:
    questions = _panel_questions(answer_questionnaire())
    if answers is None:
        answers = submission.values() if submission is not None else {}
    consent, licence = request.POST.get("consent", ""), request.POST.get("licence", "")
    if submission is not None:
        consent, licence = consent or submission.consent, licence or submission.licence
    context = {
        "generation": generation,
        "submission": submission,
        "questions": form_questions(questions, answers, field_errors),
        "taken_back": form_questions(questions, taken_back) if taken_back else None,
        "terms": shown_terms(consent, licence, errors=field_errors),
        "given": given,
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
    status, problem, field_errors = refusal(error)
    submission = own_submission(current_actor(request), generation)
    response = _panel(
        request, generation, submission, answers=answers, field_errors=field_errors, problem=problem, status=status
    )
    if isinstance(error, LimitExceeded):
        response["Retry-After"] = str(error.retry_after_s)
    return _replacing_panel(response)


def refusal(error: Exception) -> tuple[int, str, Mapping[str, list[str]]]:
    """The HTTP status, the sentence above a form and those beside its fields, for everything that a save can raise."""
    match error:
        case GenerationNotJudgeable():
            return 409, " ".join(error.messages), {}
        case ValidationError():
            return 422, "", error.message_dict
        case AlreadyReviewed():
            return 409, str(error), {}
        case VersionConflict():
            message = _(
                "You changed this judgement elsewhere since this form was loaded, so nothing was saved. Your entries "
                "are still here: save again to replace the other version."
            )
            return 409, message, {}
        case LimitExceeded():
            return 429, error.message, {}
        case Blocked():
            return 403, str(error), {}
        case _:
            raise error


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
