"""A closer look at one's own answer: correct it, mark passages, choose better tokens, or report it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.accounts.actors import current_actor
from portal.accounts.limits import Blocked, LimitExceeded
from portal.catalog.text_comparison import compare_texts
from portal.feedback.answer_values import KINDS_ON_TEXT, Refused, checked_value
from portal.feedback.forms import answers_from_form, new_mark, version_from_form
from portal.feedback.given_form import GivenForm, read_given
from portal.feedback.models import Question, QuestionKind, Submission
from portal.feedback.queries import answer_questionnaire, asked_about, judged_text, own_submission
from portal.feedback.question_display import form_questions
from portal.feedback.services import (
    AlreadyReviewed,
    GenerationNotJudgeable,
    VersionConflict,
    require_judgeable,
    revise_feedback,
)
from portal.feedback.terms import shown_terms
from portal.feedback.views import refusal
from portal.playground.access import get_generation
from portal.playground.models import Generation

TOKENS_AROUND: Final = 40
_REFUSALS: Final = (ValidationError, AlreadyReviewed, VersionConflict, LimitExceeded, Blocked)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def closer(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """The questions about the words of an answer, with the answer beside them.

    POST saves them; with `mark`, a question's key, it only puts the mark that is being made on that question's list.
    """
    actor = current_actor(request)
    generation = get_generation(actor, generation_id)
    questions = _closer_questions()
    submission = own_submission(actor, generation)
    if request.method != "POST":
        return _closer(request, generation, submission, questions)
    if "mark" in request.POST:
        return _with_new_mark(request, generation, submission, questions)
    given = read_given(questions, request.POST, known=generation.output)
    if given.unseen or given.errors:
        return _closer(request, generation, submission, questions, given=given, status=422)
    changes = {question.key: given.answers.get(question.key) for question in questions}
    try:
        revise_feedback(actor, generation, changes, given.version, given.terms)
    except _REFUSALS as error:
        status, problem, errors = refusal(error)
        return _closer(
            request, generation, submission, questions, given=given, errors=errors, problem=problem, status=status
        )
    return redirect(f"{reverse('feedback:closer', args=[generation.pk])}?saved=1#saved")


@never_cache
@require_http_methods(["POST"])
def difference(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
    """What a correction changes, while it is being written; nothing is stored."""
    generation = get_generation(current_actor(request), generation_id)
    corrections = [each.key for each in _closer_questions() if each.kind == QuestionKind.CORRECTION]
    text = next((request.POST[key] for key in corrections if key in request.POST), "")
    segments = compare_texts(_lines(generation.output), _lines(text))
    if request.headers.get("HX-Request") == "true":
        return render(request, "feedback/difference.html", {"segments": segments})
    questions = _closer_questions()
    given = read_given(questions, request.POST, known=generation.output)
    submission = own_submission(current_actor(request), generation)
    return _closer(request, generation, submission, questions, given=given)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def token(request: HttpRequest, generation_id: uuid.UUID, index: int) -> HttpResponse:
    """One token of an answer, and which of those that the model thought of would have been better."""
    actor = current_actor(request)
    generation = get_generation(actor, generation_id)
    try:
        require_judgeable(generation)
    except GenerationNotJudgeable:
        # Its panel says why.
        return redirect("feedback:panel", generation.pk)
    question = next((each for each in answer_questionnaire().questions.all() if each.kind == QuestionKind.TOKEN), None)
    tokens = judged_text(generation).tokens
    if question is None or index >= len(tokens):
        raise Http404
    submission = own_submission(actor, generation)
    if request.method != "POST":
        return _token(request, generation, submission, question, index)
    asked = [each for each in _closer_questions() if each.kind not in KINDS_ON_TEXT]
    given = read_given(asked, request.POST)
    chosen = request.POST.get("alternative", "")
    others = [each for each in _chosen_tokens(submission, question) if each["index"] != index]
    new = (
        [{"index": index, "alternative": int(chosen)}]
        if chosen.isascii() and chosen.isdigit() and len(chosen) < 10
        else []
    )
    changes = {**{each.key: given.answers.get(each.key) for each in asked}, question.key: [*others, *new]}
    try:
        revise_feedback(actor, generation, changes, given.version)
    except _REFUSALS as error:
        status, problem, errors = refusal(error)
        return _token(
            request, generation, submission, question, index, given=given, errors=errors, problem=problem, status=status
        )
    return redirect(f"{reverse('feedback:closer', args=[generation.pk])}?saved=1#saved")


def _with_new_mark(
    request: HttpRequest, generation: Generation, submission: Submission | None, questions: list[Question]
) -> HttpResponse:
    """The form as it was sent, its new mark on the list; nothing is stored, so personal data is asked about later."""
    question = next((each for each in questions if each.key == request.POST["mark"]), None)
    if question is None or question.kind != QuestionKind.SPANS:
        raise Http404
    answers = answers_from_form(questions, request.POST)
    errors = {}
    if new_mark(question, request.POST) is None:
        errors[question.key] = [_("Select words of the answer first, or type them.")]
    else:
        try:
            answers[question.key] = checked_value(question, answers.get(question.key), judged_text(generation))
        except Refused as error:
            errors[question.key] = [str(error)]
    given = GivenForm(answers=answers, terms=None, version=version_from_form(request.POST))
    status = 422 if errors else 200
    return _closer(request, generation, submission, questions, given=given, errors=errors, status=status)


def _closer_questions() -> list[Question]:
    """What is about the words of the answer, and what a judgement cannot do without."""
    questions = answer_questionnaire().questions.all()
    return [each for each in questions if each.kind in KINDS_ON_TEXT or (each.is_required and not each.show_if)]


def _closer(
    request: HttpRequest,
    generation: Generation,
    submission: Submission | None,
    questions: list[Question],
    *,
    given: GivenForm | None = None,
    errors: Mapping[str, list[str]] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    answers = given.answers if given is not None else submission.values() if submission is not None else {}
    errors = errors or (given.errors if given is not None else {})
    refused = _refused_mark(questions, errors, request.POST)
    if refused:
        # What cannot be a mark goes back into its fields.
        answers = {**answers, refused["key"]: (answers.get(refused["key"]) or [])[:-1]}
    answers = {**answers, **_quoted(questions, answers, generation)}
    correction = next((answers.get(each.key) for each in questions if each.kind == QuestionKind.CORRECTION), None)
    is_corrected = isinstance(correction, str) and bool(correction)
    current = submission.version if submission is not None else 0
    consent, licence = request.POST.get("consent", ""), request.POST.get("licence", "")
    context = {
        "generation": generation,
        "submission": submission,
        # A form that was not saved is still about what it was made from.
        "version": given.version if given is not None and given.version is not None and not problem else current,
        "questions": form_questions(questions, answers, errors),
        "refused_mark": refused,
        "listed": request.POST.get("mark") if not errors else None,
        "segments": compare_texts(_lines(generation.output), _lines(correction)) if is_corrected else [],
        "terms": shown_terms(
            consent or (submission.consent if submission else ""),
            licence or (submission.licence if submission else ""),
            errors=errors,
        ),
        "given": given,
        "errors": errors,
        "problem": problem,
        "reports": asked_about("on_answers").exclude(slug=answer_questionnaire().slug),
        "is_saved": request.method != "POST" and "saved" in request.GET and submission is not None,
    }
    return render(request, "feedback/closer.html", context, status=status)


def _refused_mark(questions: list[Question], errors: Mapping[str, list[str]], data: QueryDict) -> dict[str, Any] | None:
    """The fields of the mark that was being made, where its question has errors."""
    for question in questions:
        if question.kind == QuestionKind.SPANS and question.key in errors and new_mark(question, data):
            names = ("quote", "start", "end", "label", "note")
            return {"key": question.key, **{name: data.get(f"{question.key}.new_{name}", "") for name in names}}
    return None


def _quoted(questions: list[Question], answers: Mapping[str, Any], generation: Generation) -> dict[str, Any]:
    """Marks as a form sends them lack the words that they are about, or their place where the words were typed."""
    quoted = {}
    for question in questions:
        value = answers.get(question.key)
        if question.kind == QuestionKind.SPANS and isinstance(value, list):
            quoted[question.key] = [
                _with_place(mark, generation.output) if "quote" in mark else _with_quote(mark, generation.output)
                for mark in value
            ]
    return quoted


def _with_quote(mark: Mapping[str, Any], output: str) -> dict[str, Any]:
    start, end = mark.get("start"), mark.get("end")
    is_place = isinstance(start, int) and isinstance(end, int) and 0 <= start < end
    return {**mark, "quote": output[start:end] if is_place else ""}


def _with_place(mark: Mapping[str, Any], output: str) -> Mapping[str, Any]:
    quote = mark["quote"]
    if "start" in mark or output.count(quote) != 1:
        return mark
    start = output.index(quote)
    return {**mark, "start": start, "end": start + len(quote)}


def _token(
    request: HttpRequest,
    generation: Generation,
    submission: Submission | None,
    question: Question,
    index: int,
    *,
    given: GivenForm | None = None,
    errors: Mapping[str, list[str]] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    tokens = judged_text(generation).tokens
    this = tokens[index]
    asked = [each for each in _closer_questions() if each.kind not in KINDS_ON_TEXT]
    answers = given.answers if given is not None else submission.values() if submission is not None else {}
    chosen = {each["index"]: each["alternative"] for each in _chosen_tokens(submission, question)}
    context = {
        "generation": generation,
        "submission": submission,
        "question": form_questions([question], {})[0],
        "questions": form_questions(asked, answers, errors),
        "index": index,
        "token": this,
        "before": "".join(each["text"] for each in tokens[max(0, index - TOKENS_AROUND) : index]),
        "after": "".join(each["text"] for each in tokens[index + 1 : index + 1 + TOKENS_AROUND]),
        "is_cut": index > TOKENS_AROUND,
        "alternatives": [each for each in this.get("top", ()) if each["id"] != this["id"]],
        "chosen": chosen.get(index),
        "previous": index - 1 if index else None,
        "next": index + 1 if index + 1 < len(tokens) else None,
        "last": len(tokens) - 1,
        "problem": problem or " ".join((errors or {}).get(question.key, ())),
    }
    return render(request, "feedback/token.html", context, status=status)


def _chosen_tokens(submission: Submission | None, question: Question) -> list[dict[str, Any]]:
    return list(submission.values().get(question.key, [])) if submission is not None else []


def _lines(text: Any) -> str:
    return str(text or "").replace("\r\n", "\n").replace("\r", "\n")
