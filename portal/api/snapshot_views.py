"""`/api/v1/snapshots/`: the published releases with their files, what was withdrawn since, and the next one."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request

from portal.accounts.models import User
from portal.api import schema
from portal.api.api_view import READING, ApiView
from portal.api.operation import operation
from portal.api.paging import read_latest_page
from portal.api.row_answers import list_answer, members_of, page_of, part_of, row_answer
from portal.api.snapshot_build_views import MAKING, make_snapshot, makes_snapshots
from portal.exports.access import get_published, visible_snapshots
from portal.exports.models import Snapshot
from portal.exports.rows import iso_utc
from portal.exports.snapshot_files import FILE_TYPES, file_response, tombstones_response


class SnapshotFileSerializer(serializers.Serializer):  # type: ignore[type-arg]
    path = serializers.CharField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    url = serializers.CharField()


class SnapshotSerializer(serializers.Serializer):  # type: ignore[type-arg]
    number = serializers.IntegerField()
    title = serializers.CharField()
    note = serializers.CharField(allow_blank=True)
    as_of = serializers.DateTimeField()
    rows = serializers.DictField(child=serializers.IntegerField())
    licences = serializers.ListField(child=serializers.CharField())
    previous = serializers.IntegerField(allow_null=True)
    tombstones = serializers.CharField()
    files = SnapshotFileSerializer(many=True)


def described(snapshot: Snapshot) -> dict[str, Any]:
    """What the API says of a published snapshot."""
    manifest = snapshot.manifest
    return {
        "number": snapshot.number,
        "title": snapshot.title,
        "note": snapshot.note,
        "as_of": iso_utc(snapshot.as_of),
        "rows": manifest["rows"],
        "licences": manifest["licences"],
        "previous": manifest["previous"],
        "tombstones": reverse("api:snapshot-tombstones", args=[snapshot.number]),
        "files": [
            {
                "path": path,
                "bytes": facts["bytes"],
                "sha256": facts["sha256"],
                "url": reverse("api:snapshot-file", args=[snapshot.number, path]),
            }
            for path, facts in snapshot.files.items()
        ],
    }


_MEMBERS = members_of(SnapshotSerializer)
_EXAMPLE_SNAPSHOT = {
    "number": 3,
    "title": "Autumn",
    "note": "For the paper.",
    "as_of": "2026-05-01T12:00:00.000000Z",
    "rows": {"kto": 120},
    "licences": ["CC-BY-4.0"],
    "previous": 2,
    "tombstones": "/api/v1/snapshots/3/tombstones/",
    "files": [
        {
            "path": "data/kto.parquet",
            "bytes": 48211,
            "sha256": "9f2b…",
            "url": "/api/v1/snapshots/3/files/data/kto.parquet",
        }
    ],
}
_NUMBER = OpenApiParameter(
    "number", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, OpenApiParameter.PATH, description="Its number."
)


class SnapshotList(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING, HTTPMethod.POST: MAKING}

    @operation(
        operation_id="snapshots_list",
        summary="The published snapshots",
        description="Newest first.",
        parameters=[schema.fields_parameter(_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(SnapshotSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [_EXAMPLE_SNAPSHOT], "next": None}, response_only=True)],
        tags=["snapshots"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        page, following = read_latest_page(request, visible_snapshots(None), by="number")
        return list_answer(request, map(described, page), following, _MEMBERS)

    @makes_snapshots
    def post(self, request: Request) -> HttpResponseBase:
        return make_snapshot(self, request)


class SnapshotDetail(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}

    @operation(
        operation_id="snapshots_retrieve",
        summary="One snapshot",
        parameters=[_NUMBER, schema.fields_parameter(_MEMBERS)],
        responses={200: part_of(SnapshotSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A snapshot", value=_EXAMPLE_SNAPSHOT, response_only=True)],
        tags=["snapshots"],
    )
    def get(self, request: Request, number: int) -> HttpResponseBase:
        return row_answer(request, described(get_published(number)), _MEMBERS)


def _file(description: str, media_type: str) -> OpenApiResponse:
    """A file's bytes; those of a JSON one are shown as what they say."""
    kind = OpenApiTypes.OBJECT if media_type == "application/json" else OpenApiTypes.BINARY
    return OpenApiResponse(kind, description=description)


class SnapshotFile(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}

    @operation(
        operation_id="snapshots_file",
        summary="One file of a snapshot",
        description=(
            "Whole, or from a place on (`Range`, with `If-Range` for the same digest). `ETag` is its SHA-256. Each "
            "download is logged. `manifest.json` is a file too."
        ),
        parameters=[
            _NUMBER,
            OpenApiParameter("path", {"type": "string"}, OpenApiParameter.PATH, description="As the manifest has it."),
        ],
        responses={
            **{(200, each): _file("The file.", each) for each in FILE_TYPES},
            **{(206, each): _file("The part asked for.", each) for each in FILE_TYPES},
            304: None,
            416: None,
            **schema.problems(404),
        },
        tags=["snapshots"],
    )
    def get(self, request: Request, number: int, path: str) -> HttpResponseBase:
        assert isinstance(request.user, User)
        return file_response(request._request, get_published(number), path, request.user)  # noqa: SLF001


class SnapshotTombstones(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}

    @operation(
        operation_id="snapshots_tombstones",
        summary="What was withdrawn since",
        description="A record of the snapshot per line, as {kind, id}: drop its rows before you use the snapshot.",
        parameters=[_NUMBER],
        responses={**schema.file_response("jsonl", "A record per line."), **schema.problems(404)},
        tags=["snapshots"],
    )
    def get(self, request: Request, number: int) -> HttpResponseBase:
        return tombstones_response(request._request, get_published(number))  # noqa: SLF001
