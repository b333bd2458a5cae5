"""`/api/v1/limitations/`: what models are known to do wrong; read and seconded by all, made by maintainers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from http import HTTPMethod
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import model_to_dict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.catalog_views import CARD_PATH, named_card, published_card
from portal.api.conditions import precondition_failed, require_version, wants_unchanged
from portal.api.given_question import refuse_form, refused
from portal.api.idempotency import Done, do_once
from portal.api.limitation_access import readable_limitation
from portal.api.limitation_rows import (
    DETAIL_MEMBERS,
    EXAMPLE,
    EXAMPLE_DETAIL,
    ROW_MEMBERS,
    ChangeLimitationSerializer,
    LimitationDetailSerializer,
    LimitationRowSerializer,
    NewLimitationSerializer,
    seconded_row,
)
from portal.api.operation import operation
from portal.api.paging import read_created_page
from portal.api.permissions import page_request
from portal.api.questionnaire_views import MAKING, SCOPES
from portal.api.row_answers import done_headers, list_answer, page_of, part_of, row_answer
from portal.catalog.models import ModelCard, Variant
from portal.feedback.services import VersionConflict
from portal.reviews.access import require_maintainer
from portal.reviews.forms import LimitationForm
from portal.reviews.models import Limitation
from portal.reviews.models.limitations import LimitationState, Severity
from portal.reviews.queries.limitations import counted_limitations, said_me_too
from portal.reviews.services.limitations import LimitationChanged, change_limitation, make_limitation, say_me_too

PATH: Final = [schema.in_path("limitation_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))]
_DETAIL_EXAMPLE: Final = OpenApiExample("A limitation", value=EXAMPLE_DETAIL, response_only=True)
_PAGE_EXAMPLE: Final = OpenApiExample("A page", value={"results": [EXAMPLE], "next": None}, response_only=True)
_CHANGED: Final = ("title", "description", "severity", "state", "mitigated_in")
_FILTER_PARAMETERS: Final = [
    schema.query(
        "state", {"type": "string", "enum": LimitationState.values}, gettext_lazy("Only those in this state.")
    ),
    schema.query("severity", {"type": "string", "enum": Severity.values}, gettext_lazy("Only of this severity.")),
    schema.fields_parameter(ROW_MEMBERS),
    *schema.PAGE_PARAMETERS,
]


class LimitationList(ApiView):
    scopes = {**SCOPES, HTTPMethod.POST: MAKING}

    @operation(
        operation_id="limitations_list",
        summary="Known limitations",
        description="Of all published cards, in the order in which they were made.",
        parameters=[
            schema.query("card", schema.CARD_NAME, gettext_lazy("Only of this card: owner/name.")),
            *_FILTER_PARAMETERS,
        ],
        responses={200: page_of(LimitationRowSerializer), **schema.problems()},
        examples=[_PAGE_EXAMPLE],
        tags=["limitations"],
    )
    def get(self, request: Request) -> Response:
        found = counted_limitations().filter(card__is_published=True)
        if "card" in request.query_params:
            found = found.filter(card=named_card(request.query_params["card"]))
        return _list(request, found)

    @operation(
        operation_id="limitations_make",
        summary="Make a limitation out of accepted reports",
        description="It stands on the card from now on, and the reports' contributors are told. For maintainers.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=NewLimitationSerializer,
        responses={201: LimitationDetailSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[
            OpenApiExample(
                "A limitation",
                value={
                    "card": "owner/name",
                    "reports": ["6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa"],
                    "title": EXAMPLE["title"],
                    "severity": "medium",
                },
                request_only=True,
            ),
            _DETAIL_EXAMPLE,
        ],
        tags=["limitations"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        maintainer = require_maintainer(page_request(request))

        def make() -> Done:
            body = NewLimitationSerializer(data=request.data)
            body.is_valid(raise_exception=True)
            given = body.validated_data
            owner_name, slug = given["card"].split("/")
            card = get_object_or_404(ModelCard, owner_name=owner_name, slug=slug)
            usual = model_to_dict(Limitation(), fields=_CHANGED)
            values = _checked(LimitationForm({**usual, **given}, card=card))
            try:
                made = make_limitation(maintainer, card, map(str, given["reports"]), **values)
            except ValidationError as error:
                raise refused(error) from error
            return Done(201, str(made.pk))

        return limitation_answer(request, self, do_once(request, self.actor, make))


class CardLimitations(ApiView):
    scopes = SCOPES

    @operation(
        operation_id="card_limitations_list",
        summary="A card's known limitations",
        description="In the order in which they were made.",
        parameters=[*CARD_PATH, *_FILTER_PARAMETERS],
        responses={200: page_of(LimitationRowSerializer), **schema.problems(404)},
        examples=[_PAGE_EXAMPLE],
        tags=["limitations"],
    )
    def get(self, request: Request, owner_name: str, slug: str) -> Response:
        return _list(request, counted_limitations().filter(card=published_card(owner_name, slug)))


class LimitationDetail(ApiView):
    scopes = {**SCOPES, HTTPMethod.PATCH: MAKING}

    @operation(
        operation_id="limitations_retrieve",
        summary="One known limitation",
        parameters=[*PATH, schema.fields_parameter(DETAIL_MEMBERS)],
        responses={200: part_of(LimitationDetailSerializer), **schema.problems(404)},
        examples=[_DETAIL_EXAMPLE],
        tags=["limitations"],
    )
    def get(self, request: Request, limitation_id: uuid.UUID) -> HttpResponseBase:
        wanted = readable_limitation(request, limitation_id)
        return limitation_answer(request, self, Done(200, str(wanted.pk)))

    @operation(
        operation_id="limitations_change",
        summary="Change a known limitation",
        description=(
            "Title, text, severity and state; mitigated names the variant in which it is. Its contributors are "
            "told of a new "
            "state. For maintainers; If-Match compares the version, so that others who saw it too are no obstacle."
        ),
        parameters=[*PATH, schema.IF_MATCH],
        request=ChangeLimitationSerializer,
        responses={200: LimitationDetailSerializer, **schema.problems(404, 409, 412, 413, 415)},
        examples=[
            OpenApiExample("Confirmed", value={"state": "confirmed"}, request_only=True),
            OpenApiExample(
                "Mitigated", value={"state": "mitigated", "mitigated_in": "owner/name:int8"}, request_only=True
            ),
            _DETAIL_EXAMPLE,
        ],
        tags=["limitations"],
    )
    def patch(self, request: Request, limitation_id: uuid.UUID) -> HttpResponseBase:
        maintainer = require_maintainer(page_request(request))
        wanted = readable_limitation(request, limitation_id)
        body = ChangeLimitationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        require_version(request, wanted.version)
        version = given.get("version", wanted.version)
        if version != wanted.version:
            raise VersionConflict(version, wanted.version)
        said = {**model_to_dict(wanted, fields=_CHANGED), **_with_variant(given, wanted.card)}
        copy = Limitation.objects.get(pk=wanted.pk)
        values = _checked(LimitationForm({**said, "version": wanted.version}, instance=copy, card=wanted.card))
        try:
            change_limitation(maintainer, wanted, wanted.version, **values)
        except LimitationChanged as conflict:
            found = Limitation.objects.values_list("version", flat=True).get(pk=wanted.pk)
            if wants_unchanged(request):
                raise precondition_failed(found) from conflict
            raise VersionConflict(version, found) from conflict
        return limitation_answer(request, self, Done(200, str(wanted.pk)))


class MeTooView(ApiView):
    scopes = {HTTPMethod.POST: (Scope.SUBMIT,)}

    @operation(
        operation_id="limitations_me_too",
        summary="Say that you saw it too",
        description="Counted once per person: 201 the first time, 200 afterwards.",
        parameters=[*PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={
            201: LimitationDetailSerializer,
            200: LimitationDetailSerializer,
            **schema.problems(404, 413, 415, 422),
        },
        examples=[OpenApiExample("Counted", value={**EXAMPLE_DETAIL, "said_me_too": True}, response_only=True)],
        tags=["limitations"],
    )
    def post(self, request: Request, limitation_id: uuid.UUID) -> HttpResponseBase:
        wanted = readable_limitation(request, limitation_id)

        def say() -> Done:
            return Done(201 if say_me_too(self.actor, wanted) else 200, str(wanted.pk))

        return limitation_answer(request, self, do_once(request, self.actor, say))


def limitation_answer(request: Request, view: ApiView, done: Done) -> HttpResponseBase:
    """A limitation as it is now."""
    found = get_object_or_404(counted_limitations(), pk=done.made)
    row = {**seconded_row(found), "said_me_too": said_me_too(view.actor, found)}
    headers = done_headers(done, reverse("api:limitation-detail", args=[found.pk]))
    return row_answer(request, row, DETAIL_MEMBERS, status=done.status, headers=headers)


def _list(request: Request, found: QuerySet[Limitation]) -> Response:
    asked = request.query_params
    found = found.filter(**{name: asked[name] for name in ("state", "severity") if name in asked})
    page, following = read_created_page(request, found)
    return list_answer(request, [seconded_row(each) for each in page], following, ROW_MEMBERS)


def _with_variant(given: Mapping[str, Any], card: ModelCard) -> dict[str, Any]:
    """`given` as the page's form has it, where a variant is a number."""
    if given.get("mitigated_in") is None:
        return dict(given)
    found = [each.pk for each in Variant.objects.filter(card=card) if each.model_id == given["mitigated_in"]]
    # What is not there is nothing that the form offers either.
    return {**given, "mitigated_in": found[0] if found else 0}


def _checked(form: LimitationForm) -> dict[str, Any]:
    if not form.is_valid():
        refuse_form(form)
    return {name: form.cleaned_data[name] for name in _CHANGED}
