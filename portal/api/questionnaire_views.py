"""`/api/v1/questionnaires/`: what people are asked, read by everybody with a token; made by maintainers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPMethod
from typing import Final

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope, User
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.draft_steps import QUESTIONNAIRE_PATH, change_draft, questionnaire_answer
from portal.api.given_question import refuse_form, refused
from portal.api.idempotency import Done, do_once, do_to_once
from portal.api.operation import operation
from portal.api.paging import read_page
from portal.api.permissions import role_of
from portal.api.questionnaire_rows import (
    EXAMPLE,
    MEMBERS,
    SLUG,
    NewQuestionnaireSerializer,
    QuestionnaireRowSerializer,
    QuestionnaireSettingsSerializer,
    questionnaire_row,
)
from portal.api.row_answers import list_answer, page_of, part_of
from portal.feedback.access import get_draft, get_questionnaire, may_maintain, require_maintainer
from portal.feedback.editor_forms import NewQuestionnaireForm, SettingsForm
from portal.feedback.models import Questionnaire
from portal.feedback.questionnaire_services import (
    change_settings,
    discard_draft,
    open_draft,
    publish_draft,
    start_questionnaire,
)

READING: Final[tuple[Scope, ...]] = (Scope.READ, Scope.SUBMIT, Scope.EXPORT, Scope.ADMIN)
SCOPES: Final[Mapping[str, tuple[Scope, ...]]] = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}
MAKING: Final[tuple[Scope, ...]] = (Scope.ADMIN,)
ASKED_ABOUT: Final = {"answers": "on_answers", "comparisons": "on_comparisons", "cards": "on_cards"}
ROW_EXAMPLE: Final = OpenApiExample("A questionnaire", value=EXAMPLE, response_only=True)
_ONE: Final = {"type": "string", "enum": ["1"]}


class QuestionnaireList(ApiView):
    scopes = {**SCOPES, HTTPMethod.POST: MAKING}

    @operation(
        operation_id="questionnaires_list",
        summary="Questionnaires, every version",
        description=(
            "All published versions with their questions, in the order in which they were begun; a maintainer's token "
            "with the scope admin also reads drafts."
        ),
        parameters=[
            schema.query(
                "slug", {"type": "string", "pattern": SLUG, "maxLength": 80}, gettext_lazy("Only of this name.")
            ),
            schema.query(
                "on", {"type": "string", "enum": list(ASKED_ABOUT)}, gettext_lazy("Only those asked about such things.")
            ),
            schema.query("current", _ONE, gettext_lazy("Only the versions that are asked now.")),
            schema.fields_parameter(MEMBERS),
            *schema.PAGE_PARAMETERS,
        ],
        responses={200: page_of(QuestionnaireRowSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE], "next": None}, response_only=True)],
        tags=["questionnaires"],
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        found = _visible(request)
        if "slug" in asked:
            found = found.filter(slug=asked["slug"])
        if "on" in asked:
            found = found.filter(**{ASKED_ABOUT[asked["on"]]: True})
        if "current" in asked:
            found = found.filter(is_current=True)
        page, following = read_page(request, found)
        return list_answer(request, [questionnaire_row(each) for each in page], following, MEMBERS)

    @operation(
        operation_id="questionnaires_start",
        summary="Begin a questionnaire",
        description="The draft of its first version, without questions. For maintainers.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=NewQuestionnaireSerializer,
        responses={201: QuestionnaireRowSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[
            OpenApiExample("A name", value={"slug": "tone", "title": "Tone of answers"}, request_only=True),
            ROW_EXAMPLE,
        ],
        tags=["questionnaires"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        author = require_maintainer(role_of(request))
        return questionnaire_answer(request, do_once(request, self.actor, lambda: self._start(request, author)))

    def _start(self, request: Request, author: User) -> Done:
        body = NewQuestionnaireSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        form = NewQuestionnaireForm(body.validated_data)
        if not form.is_valid():
            refuse_form(form)
        try:
            draft = start_questionnaire(author, form.cleaned_data["slug"], form.cleaned_data["title"])
        except ValidationError as error:
            raise refused(error) from error
        return Done(201, str(draft.pk))


class QuestionnaireDetail(ApiView):
    scopes = {**SCOPES, HTTPMethod.PATCH: MAKING, HTTPMethod.DELETE: MAKING}

    @operation(
        operation_id="questionnaires_retrieve",
        summary="One version of a questionnaire",
        parameters=[*QUESTIONNAIRE_PATH, schema.fields_parameter(MEMBERS)],
        responses={200: part_of(QuestionnaireRowSerializer), **schema.problems(404)},
        examples=[ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def get(self, request: Request, slug: str, version: int) -> HttpResponseBase:
        found = _visible(request).filter(slug=slug, version=version).first()
        if found is None:
            raise Http404
        return questionnaire_answer(request, Done(200, str(found.pk)), MEMBERS)

    @operation(
        operation_id="questionnaires_change",
        summary="Change a draft's settings",
        description="Title, introduction, language, and what it may be asked about. For maintainers.",
        parameters=[*QUESTIONNAIRE_PATH, schema.IF_MATCH],
        request=QuestionnaireSettingsSerializer,
        responses={200: QuestionnaireRowSerializer, **schema.problems(404, 409, 412, 413, 415)},
        examples=[OpenApiExample("A change", value={"on_answers": True}, request_only=True), ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def patch(self, request: Request, slug: str, version: int) -> HttpResponseBase:
        draft = get_draft(role_of(request), slug, version)
        body = QuestionnaireSettingsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        said = {name: getattr(draft, name) for name in SettingsForm.Meta.fields}
        form = SettingsForm(
            {**said, **body.validated_data, "revision": draft.revision},
            instance=get_draft(role_of(request), slug, version),
        )
        if not form.is_valid():
            refuse_form(form)
        values = {name: form.cleaned_data[name] for name in SettingsForm.Meta.fields}
        change_draft(request, draft, lambda: change_settings(draft, values))
        return questionnaire_answer(request, Done(200, str(draft.pk)))

    @operation(
        operation_id="questionnaires_discard",
        summary="Discard a draft",
        description="For maintainers. What was published stays.",
        parameters=[*QUESTIONNAIRE_PATH, schema.IF_MATCH],
        responses={204: None, **schema.problems(404, 409, 412)},
        tags=["questionnaires"],
    )
    def delete(self, request: Request, slug: str, version: int) -> HttpResponseBase:
        draft = get_draft(role_of(request), slug, version)
        change_draft(request, draft, lambda: discard_draft(draft))
        return HttpResponse(status=204)


class NextDraft(ApiView):
    scopes = {HTTPMethod.POST: MAKING}

    @operation(
        operation_id="questionnaires_draft",
        summary="Begin a questionnaire's next version",
        description=(
            "Its draft, a copy of this version (201); or the draft that there is already, whoever began it (200). For "
            "maintainers."
        ),
        parameters=[*QUESTIONNAIRE_PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={
            201: QuestionnaireRowSerializer,
            200: QuestionnaireRowSerializer,
            **schema.problems(404, 413, 415, 422),
        },
        examples=[ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def post(self, request: Request, slug: str, version: int) -> HttpResponseBase:
        author = require_maintainer(role_of(request))

        def find() -> Questionnaire:
            return get_questionnaire(author, slug, version)

        def begin(published: Questionnaire) -> Done:
            newest = Questionnaire.objects.filter(slug=slug).order_by("-version").values_list("version", flat=True)[0]
            draft = open_draft(author, published)
            return Done(201 if draft.version > newest else 200, str(draft.pk))

        return questionnaire_answer(request, do_to_once(request, self.actor, find, begin))


class Publication(ApiView):
    scopes = {HTTPMethod.POST: MAKING}

    @operation(
        operation_id="questionnaires_publish",
        summary="Publish a draft",
        description="From now on this version is asked, and it never changes again. For maintainers.",
        parameters=[*QUESTIONNAIRE_PATH, schema.IF_MATCH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: QuestionnaireRowSerializer, **schema.problems(404, 409, 412, 413, 415, 422)},
        examples=[ROW_EXAMPLE],
        tags=["questionnaires"],
    )
    def post(self, request: Request, slug: str, version: int) -> HttpResponseBase:
        def find() -> Questionnaire:
            return get_draft(role_of(request), slug, version)

        def publish(draft: Questionnaire) -> Done:
            change_draft(request, draft, lambda: publish_draft(draft))
            return Done(200, str(draft.pk))

        return questionnaire_answer(request, do_to_once(request, self.actor, find, publish))


def _visible(request: Request) -> QuerySet[Questionnaire]:
    found = Questionnaire.objects.prefetch_related("questions")
    return found if may_maintain(role_of(request)) else found.filter(published_at__isnull=False)
