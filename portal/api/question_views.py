"""The questions of a questionnaire's draft over REST, one change at a time; the answer is the whole draft."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPMethod
from typing import Any, Final

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request

from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.draft_steps import QUESTIONNAIRE_PATH, change_draft, questionnaire_answer
from portal.api.given_question import question_values
from portal.api.idempotency import Done, do_to_once
from portal.api.operation import operation
from portal.api.permissions import role_of
from portal.api.problems import FieldError, Problem, pointer
from portal.api.questionnaire_rows import (
    EXAMPLE_QUESTION,
    SLUG,
    ChangeQuestionSerializer,
    MoveSerializer,
    NewQuestionSerializer,
    QuestionnaireRowSerializer,
    TranslationSerializer,
)
from portal.api.questionnaire_views import MAKING, ROW_EXAMPLE
from portal.feedback.access import get_draft
from portal.feedback.models import Question, QuestionKind, Questionnaire
from portal.feedback.questionnaire_services import move_question, remove_question, save_question, save_translations
from portal.feedback.wording import LANGUAGE_NAMES, texts_of

_QUESTION_PATH: Final = [
    *QUESTIONNAIRE_PATH,
    schema.in_path("key", {"type": "string", "pattern": SLUG, "maxLength": 60}, gettext_lazy("The question's key.")),
]
_NEW: Final[dict[str, Any]] = {
    name: value for name, value in EXAMPLE_QUESTION.items() if name not in {"translations", "show_if"}
}
_CHANGED: Final[dict[Any, Any]] = {200: QuestionnaireRowSerializer, **schema.problems(404, 409, 412, 413, 415)}


class QuestionAdding(ApiView):
    scopes = {HTTPMethod.POST: MAKING}

    @operation(
        operation_id="questions_add",
        summary="Add a question to a draft",
        description="At the end. For maintainers.",
        parameters=[*QUESTIONNAIRE_PATH, schema.IF_MATCH, schema.IDEMPOTENCY_KEY],
        request=NewQuestionSerializer,
        responses={201: QuestionnaireRowSerializer, **schema.problems(404, 409, 412, 413, 415, 422)},
        examples=[OpenApiExample("A rating", value=_NEW, request_only=True), ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def post(self, request: Request, slug: str, version: int) -> HttpResponseBase:
        def find() -> Questionnaire:
            return get_draft(role_of(request), slug, version)

        done = do_to_once(request, self.actor, find, lambda draft: self._add(request, draft))
        return questionnaire_answer(request, done)

    def _add(self, request: Request, draft: Questionnaire) -> Done:
        body = NewQuestionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        kind = QuestionKind(given["kind"])
        values = question_values(kind, given, list(draft.questions.all()))
        change_draft(request, draft, lambda: save_question(draft, kind, None, values))
        return Done(201, str(draft.pk))


class QuestionChanging(ApiView):
    scopes = {HTTPMethod.PATCH: MAKING, HTTPMethod.DELETE: MAKING}

    @operation(
        operation_id="questions_change",
        summary="Change a question of a draft",
        description="What is not named stays; its kind does too. For maintainers.",
        parameters=[*_QUESTION_PATH, schema.IF_MATCH],
        request=ChangeQuestionSerializer,
        responses=_CHANGED,
        examples=[OpenApiExample("A change", value={"is_required": True}, request_only=True), ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def patch(self, request: Request, slug: str, version: int, key: str) -> HttpResponseBase:
        draft = get_draft(role_of(request), slug, version)
        questions = list(draft.questions.all())
        found = _question(questions, key)
        body = ChangeQuestionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        kind, before = QuestionKind(found.kind), questions[: questions.index(found)]
        values = question_values(kind, body.validated_data, before, found)
        change_draft(request, draft, lambda: save_question(draft, kind, found, values))
        return questionnaire_answer(request, Done(200, str(draft.pk)))

    @operation(
        operation_id="questions_remove",
        summary="Remove a question from a draft",
        description="Refused while another one depends on it. For maintainers.",
        parameters=[*_QUESTION_PATH, schema.IF_MATCH],
        responses={200: QuestionnaireRowSerializer, **schema.problems(404, 409, 412)},
        examples=[ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def delete(self, request: Request, slug: str, version: int, key: str) -> HttpResponseBase:
        draft = get_draft(role_of(request), slug, version)
        _question(list(draft.questions.all()), key)
        change_draft(request, draft, lambda: remove_question(draft, key))
        return questionnaire_answer(request, Done(200, str(draft.pk)))


class QuestionMoving(ApiView):
    scopes = {HTTPMethod.POST: MAKING}

    @operation(
        operation_id="questions_move",
        summary="Move a question of a draft",
        description="Up or down by one place. For maintainers.",
        parameters=[*_QUESTION_PATH, schema.IF_MATCH, schema.IDEMPOTENCY_KEY],
        request=MoveSerializer,
        responses={200: QuestionnaireRowSerializer, **schema.problems(404, 409, 412, 413, 415, 422)},
        examples=[OpenApiExample("Up", value={"direction": "up"}, request_only=True), ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def post(self, request: Request, slug: str, version: int, key: str) -> HttpResponseBase:
        def find() -> Questionnaire:
            draft = get_draft(role_of(request), slug, version)
            _question(list(draft.questions.all()), key)
            return draft

        done = do_to_once(request, self.actor, find, lambda draft: self._move(request, draft, key))
        return questionnaire_answer(request, done)

    def _move(self, request: Request, draft: Questionnaire, key: str) -> Done:
        body = MoveSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        direction = body.validated_data["direction"]
        change_draft(request, draft, lambda: move_question(draft, key, direction))
        return Done(200, str(draft.pk))


class Translations(ApiView):
    scopes = {HTTPMethod.PATCH: MAKING}

    @operation(
        operation_id="questionnaires_translate",
        summary="Translate a draft",
        description="Into any language but its own. For maintainers.",
        parameters=[
            *QUESTIONNAIRE_PATH,
            schema.in_path(
                "language", {"type": "string", "enum": list(LANGUAGE_NAMES)}, gettext_lazy("ISO 639-1; another one.")
            ),
            schema.IF_MATCH,
        ],
        request=TranslationSerializer,
        responses=_CHANGED,
        examples=[
            OpenApiExample(
                "German",
                value={"texts": {".title": "Der Ton von Antworten", "tone.label": "Wie passend ist der Ton?"}},
                request_only=True,
            ),
            ROW_EXAMPLE,
        ],
        tags=["questionnaires"],
    )
    def patch(self, request: Request, slug: str, version: int, language: str) -> HttpResponseBase:
        draft = get_draft(role_of(request), slug, version)
        if language not in LANGUAGE_NAMES or language == draft.language:
            raise Http404
        body = TranslationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        known = {text.name: text.translation for text in texts_of(draft, language)}
        texts = {**known, **_known_texts(body.validated_data["texts"], known)}
        change_draft(request, draft, lambda: save_translations(draft, language, texts))
        return questionnaire_answer(request, Done(200, str(draft.pk)))


def _known_texts(texts: dict[str, str], known: Collection[str]) -> dict[str, str]:
    """Raises Problem for a name that the questionnaire has no text of."""
    unknown = [name for name in texts if name not in known]
    if unknown:
        detail = _("There is no such text. There are: %s.") % ", ".join(known)
        errors = tuple(FieldError(detail, pointer=pointer("texts", name[:80])) for name in unknown[:20])
        raise Problem("invalid-request", _("The body is not valid."), errors)
    return texts


def _question(questions: list[Question], key: str) -> Question:
    found = next((each for each in questions if each.key == key), None)
    if found is None:
        raise Http404
    return found
