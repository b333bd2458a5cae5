"""Replays of a known limitation over REST: its prompts asked of another variant, and which answers flipped."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Final

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.given_question import refuse_form, refused
from portal.api.idempotency import Done, do_once
from portal.api.limitation_access import readable_limitation
from portal.api.limitation_rows import (
    EXAMPLE_REPLAY,
    REPLAY_MEMBERS,
    JudgeRunSerializer,
    NewReplaySerializer,
    ReplayRowSerializer,
    replay_row,
)
from portal.api.limitation_views import PATH
from portal.api.operation import operation
from portal.api.paging import read_created_page
from portal.api.permissions import page_request, role_of
from portal.api.questionnaire_views import MAKING, SCOPES
from portal.api.row_answers import done_headers, list_answer, page_of, part_of, row_answer
from portal.catalog.models import Variant
from portal.reviews.access import require_maintainer
from portal.reviews.forms import ReplayForm
from portal.reviews.models import Replay, ReplayRun
from portal.reviews.queries.limitations import replays_with_runs, runs_of
from portal.reviews.services.replays import ask_again, judge_replay_run, start_replay

_REPLAY_PATH: Final = [schema.in_path("replay_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))]
_RUN_PATH: Final = [
    schema.in_path("run_id", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, gettext_lazy("A replayed run."))
]
_EXAMPLE: Final = OpenApiExample("A replay", value=EXAMPLE_REPLAY, response_only=True)


class ReplayList(ApiView):
    scopes = {**SCOPES, HTTPMethod.POST: MAKING}

    @operation(
        operation_id="replays_list",
        summary="Replays of a limitation",
        description=(
            "In the order in which they were asked, with how many answers flipped; maintainers read each answer."
        ),
        parameters=[*PATH, schema.fields_parameter(REPLAY_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(ReplayRowSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE_REPLAY], "next": None}, response_only=True)],
        tags=["limitations"],
    )
    def get(self, request: Request, limitation_id: uuid.UUID) -> Response:
        wanted = readable_limitation(request, limitation_id)
        page, following = read_created_page(request, replays_with_runs().filter(limitation=wanted))
        with_runs = _is_maintainer(request)
        rows = [replay_row(each, runs_of(each), with_runs=with_runs) for each in page]
        return list_answer(request, rows, following, REPLAY_MEMBERS)

    @operation(
        operation_id="replays_start",
        summary="Replay a limitation's prompts on a variant",
        description=(
            "As ordinary runs of yours, with the parameters as they were. What cannot be asked now stays in the "
            "replay with "
            "the reason. For maintainers."
        ),
        parameters=[*PATH, schema.IDEMPOTENCY_KEY],
        request=NewReplaySerializer,
        responses={201: ReplayRowSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[
            OpenApiExample(
                "By a phrase",
                value={"model": "owner/name:int8", "rule": "phrase", "phrase": "ship"},
                request_only=True,
            ),
            _EXAMPLE,
        ],
        tags=["limitations"],
    )
    def post(self, request: Request, limitation_id: uuid.UUID) -> HttpResponseBase:
        maintainer = require_maintainer(page_request(request))
        wanted = readable_limitation(request, limitation_id)

        def start() -> Done:
            body = NewReplaySerializer(data=request.data)
            body.is_valid(raise_exception=True)
            given = body.validated_data
            form = ReplayForm({**given, "variant": _variant_key(given["model"])})
            if not form.is_valid():
                refuse_form(form)
            try:
                return Done(201, str(start_replay(maintainer, wanted, **form.cleaned_data).pk))
            except ValidationError as error:
                raise refused(error) from error

        return _answer(request, do_once(request, self.actor, start))


class ReplayDetail(ApiView):
    scopes = SCOPES

    @operation(
        operation_id="replays_retrieve",
        summary="One replay",
        parameters=[*_REPLAY_PATH, schema.fields_parameter(REPLAY_MEMBERS)],
        responses={200: part_of(ReplayRowSerializer), **schema.problems(404)},
        examples=[_EXAMPLE],
        tags=["limitations"],
    )
    def get(self, request: Request, replay_id: uuid.UUID) -> HttpResponseBase:
        wanted = get_object_or_404(Replay, pk=replay_id)
        readable_limitation(request, wanted.limitation_id)
        return _answer(request, Done(200, str(wanted.pk)))


class ReplayAgain(ApiView):
    scopes = {HTTPMethod.POST: MAKING}

    @operation(
        operation_id="replays_again",
        summary="Ask what could not be asked before",
        description="What was asked is not asked twice. For maintainers.",
        parameters=[*_REPLAY_PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: ReplayRowSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[_EXAMPLE],
        tags=["limitations"],
    )
    def post(self, request: Request, replay_id: uuid.UUID) -> HttpResponseBase:
        maintainer = require_maintainer(page_request(request))
        wanted = get_object_or_404(Replay.objects.select_related("limitation", "variant"), pk=replay_id)

        def again() -> Done:
            ask_again(maintainer, wanted)
            return Done(200, str(wanted.pk))

        return _answer(request, do_once(request, self.actor, again))


class ReplayRunDetail(ApiView):
    scopes = {HTTPMethod.PATCH: MAKING}

    @operation(
        operation_id="replays_judge",
        summary="Say whether one answer flipped",
        description="A person's word outweighs the rule. Answers with the whole replay. For maintainers.",
        parameters=_RUN_PATH,
        request=JudgeRunSerializer,
        responses={200: ReplayRowSerializer, **schema.problems(404, 413, 415)},
        examples=[OpenApiExample("It did", value={"flipped": True}, request_only=True), _EXAMPLE],
        tags=["limitations"],
    )
    def patch(self, request: Request, run_id: int) -> HttpResponseBase:
        maintainer = require_maintainer(page_request(request))
        run = get_object_or_404(ReplayRun.objects.select_related("replay__limitation"), pk=run_id)
        body = JudgeRunSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        judge_replay_run(maintainer, run, body.validated_data["flipped"])
        return _answer(request, Done(200, str(run.replay_id)))


def _answer(request: Request, done: Done) -> HttpResponseBase:
    found: QuerySet[Replay] = replays_with_runs()
    replay = get_object_or_404(found, pk=done.made)
    row = replay_row(replay, runs_of(replay), with_runs=_is_maintainer(request))
    headers = done_headers(done, reverse("api:replay-detail", args=[replay.pk]))
    return row_answer(request, row, REPLAY_MEMBERS, version=row["known"], status=done.status, headers=headers)


def _is_maintainer(request: Request) -> bool:
    reader = role_of(request)
    return isinstance(reader, User) and reader.has_role(Role.MAINTAINER)


def _variant_key(model_id: str) -> int:
    """Raises Http404 for what is no variant here; the form knows which of them run."""
    name, variant = model_id.split(":")
    owner_name, slug = name.split("/")
    found = Variant.objects.filter(card__owner_name=owner_name, card__slug=slug, slug=variant)
    key = found.values_list("pk", flat=True).first()
    if key is None:
        raise Http404
    return key
