"""`/api/v1/snapshots/builds/`: the making of snapshots, followed and stopped; for maintainers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPMethod
from typing import Any, Final

from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request

from portal.accounts.models import Scope, User
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.idempotency import Done, do_once, do_to_once
from portal.api.operation import operation
from portal.api.own_things import NoMembers, read_body
from portal.api.paging import read_latest_page
from portal.api.permissions import role_of
from portal.api.problems import placing
from portal.api.row_answers import done_headers, list_answer, page_of, part_of, row_answer
from portal.api.snapshot_build_rows import (
    BUILD_MEMBERS,
    EXAMPLE_ASKED,
    EXAMPLE_BUILD,
    NewSnapshotSerializer,
    SnapshotBuildSerializer,
    build_row,
)
from portal.exports.access import get_snapshot, require_maker, visible_snapshots
from portal.exports.criteria import PARAMETERS, Criteria
from portal.exports.models import Snapshot
from portal.exports.services import repeat_snapshot, start_snapshot

MAKING: Final[tuple[Scope, ...]] = (Scope.ADMIN,)
_PATH: Final = [
    schema.in_path("build_id", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, gettext_lazy("Its id."))
]
_EXAMPLE: Final = OpenApiExample("A snapshot under way", value=EXAMPLE_BUILD, response_only=True)
_PLACES: Final[Mapping[str, tuple[object, ...]]] = {name: ("filters", name) for name in PARAMETERS}

# How a snapshot is asked for, at the address of those that are published.
makes_snapshots: Final = operation(
    operation_id="snapshots_make",
    summary="Make a snapshot",
    description=(
        "A worker makes it: `Location` leads to how far it is, and once it is published to its number. As many as may "
        "be made at a time wait already: 409. For maintainers."
    ),
    parameters=[schema.IDEMPOTENCY_KEY],
    request=NewSnapshotSerializer,
    responses={201: SnapshotBuildSerializer, **schema.problems(404, 409, 413, 415, 422)},
    examples=[
        OpenApiExample("Accepted training sets", value=EXAMPLE_ASKED, request_only=True),
        OpenApiExample(
            "It waits",
            value={**EXAMPLE_BUILD, "state": "queued", "stage": "", "done": 0, "total": 0, "started_at": None},
            response_only=True,
        ),
    ],
    tags=["snapshots"],
)


def make_snapshot(view: ApiView, request: Request) -> HttpResponseBase:
    """What the page's form does."""
    maker = require_maker(role_of(request))

    def start() -> Done:
        given = read_body(request, NewSnapshotSerializer)
        criteria = given.pop("filters", Criteria())
        with placing(_PLACES):
            return Done(201, str(start_snapshot(maker, criteria=criteria, **given).pk))

    return _answer(request, maker, do_once(request, view.actor, start))


class SnapshotBuildList(ApiView):
    scopes = {HTTPMethod.GET: MAKING, HTTPMethod.HEAD: MAKING}

    @operation(
        operation_id="snapshot_builds_list",
        summary="Snapshots as they are made",
        description="The last asked first, those that failed or were stopped too. For maintainers.",
        parameters=[schema.fields_parameter(BUILD_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(SnapshotBuildSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE_BUILD], "next": None}, response_only=True)],
        tags=["snapshots"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = visible_snapshots(require_maker(role_of(request))).defer("manifest")
        page, following = read_latest_page(request, asked)
        return list_answer(request, map(build_row, page), following, BUILD_MEMBERS)


class SnapshotBuildDetail(ApiView):
    scopes = {HTTPMethod.GET: MAKING, HTTPMethod.HEAD: MAKING}

    @operation(
        operation_id="snapshot_builds_retrieve",
        summary="How far a snapshot is",
        description=(
            "Ask again while it is `queued` or `running`, or have a webhook tell of it (kind `snapshot`). For "
            "maintainers."
        ),
        parameters=[*_PATH, schema.fields_parameter(BUILD_MEMBERS)],
        responses={200: part_of(SnapshotBuildSerializer), **schema.problems(404)},
        examples=[_EXAMPLE],
        tags=["snapshots"],
    )
    def get(self, request: Request, build_id: int) -> HttpResponseBase:
        return _answer(request, require_maker(role_of(request)), Done(200, str(build_id)))


class SnapshotBuildStep(ApiView):
    """Something is done to one that was asked for."""

    scopes = {HTTPMethod.POST: MAKING}

    def _do(self, request: Request, build_id: int, step: Callable[[User, Snapshot], object]) -> HttpResponseBase:
        maker = require_maker(role_of(request))

        def do(snapshot: Snapshot) -> Done:
            read_body(request, NoMembers)
            step(maker, snapshot)
            return Done(200, str(build_id))

        def find() -> Snapshot:
            return get_snapshot(maker, build_id)

        return _answer(request, maker, do_to_once(request, self.actor, find, do))


class SnapshotBuildCancel(SnapshotBuildStep):
    @operation(
        operation_id="snapshot_builds_cancel",
        summary="Stop the making of a snapshot",
        description=(
            "One that waits stops at once, one under way as soon as its worker looks; nothing is published. One that "
            "has ended stays as it is. For maintainers."
        ),
        parameters=[*_PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: SnapshotBuildSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[_EXAMPLE],
        tags=["snapshots"],
    )
    def post(self, request: Request, build_id: int) -> HttpResponseBase:
        return self._do(request, build_id, lambda _maker, snapshot: snapshot.request_cancel())


class SnapshotBuildAgain(SnapshotBuildStep):
    @operation(
        operation_id="snapshot_builds_again",
        summary="Make one that failed or was stopped again",
        description="As of now. One that waits, runs or is published stays as it is. For maintainers.",
        parameters=[*_PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: SnapshotBuildSerializer, **schema.problems(404, 409, 413, 415, 422)},
        examples=[_EXAMPLE],
        tags=["snapshots"],
    )
    def post(self, request: Request, build_id: int) -> HttpResponseBase:
        return self._do(request, build_id, repeat_snapshot)


def _answer(request: Request, maker: User, done: Done) -> HttpResponseBase:
    """The snapshot that something was done to, as it is now."""
    row: dict[str, Any] = build_row(get_snapshot(maker, int(done.made)))
    headers = done_headers(done, reverse("api:snapshot-build", args=[row["id"]]))
    return row_answer(request, row, BUILD_MEMBERS, status=done.status, headers=headers)
