"""Lists and single rows as every resource answers them: `fields=`, an entity tag, 304; and their serializers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.conditions import entity_tag, not_modified, shown_tag
from portal.api.field_choice import chosen_fields, only_fields
from portal.api.idempotency import Done

Row = Mapping[str, Any]
SerializerClass = type[serializers.Serializer]  # type: ignore[type-arg]


def list_answer(request: Request, rows: Iterable[Row], following: str | None, members: Collection[str]) -> Response:
    """A page of rows with the members that the request asks for."""
    fields = chosen_fields(request.query_params.get("fields"), members)
    return Response({"results": [only_fields(row, fields) for row in rows], "next": following})


def row_answer(
    request: Request,
    row: Row,
    members: Collection[str],
    *,
    version: int | None = None,
    shown: Row | None = None,
    **response: Any,
) -> HttpResponse:
    """One row with its tag, for whoever may read it and no cache between; 304 where a reader has it already.

    `version` is for rows that count their changes under another name, `shown` what the answer has in the row's place.
    """
    fields = chosen_fields(request.query_params.get("fields"), members)
    tag = shown_tag(entity_tag(row, version), row, shown)
    if request.method in {"GET", "HEAD"} and (unchanged := not_modified(request, tag)) is not None:
        return unchanged
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", **response.pop("headers", {})}
    return Response(only_fields(row if shown is None else shown, fields), headers=headers, **response)


def done_headers(done: Done, location: str = "") -> dict[str, str]:
    """Where what was made is to be found, and whether it had been made before under the same key."""
    found = {"Location": location} if location and done.status == 201 else {}
    return {**found, "Idempotency-Replayed": "true"} if done.is_repeated else found


class _Part:
    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()  # type: ignore[misc]
        for field in fields.values():
            field.required = False
        return fields


@cache
def part_of(row: SerializerClass) -> SerializerClass:
    """A row, or the members of it that `fields` names."""
    name = row.__name__.replace("Serializer", "PartSerializer")
    return type(name, (_Part, row), {"__doc__": row.__doc__, "__module__": row.__module__})


@cache
def page_of(row: SerializerClass, name: str = "") -> SerializerClass:
    """A page of such rows."""
    members = {
        "results": part_of(row)(many=True),
        "next": serializers.URLField(allow_null=True, help_text=_("The next page; null at the end.")),
        "__doc__": None,
        "__module__": row.__module__,
    }
    return type(name or row.__name__.replace("Serializer", "PageSerializer"), (serializers.Serializer,), members)


def members_of(row: SerializerClass) -> tuple[str, ...]:
    """The names of a row's members."""
    return tuple(row().fields)
