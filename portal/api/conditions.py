"""Entity tags: what did not change is not sent again, and what changed meanwhile is not overwritten (RFC 9110)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from django.http import HttpResponse
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.field_choice import only_fields
from portal.api.problems import Problem


def entity_tag(row: Mapping[str, Any], version: int | None = None) -> str:
    """A strong tag of a row. Where it has a `version`, the rest tells what changes without a new one: a review.

    `version` is for rows that count their changes under another name.
    """
    digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
    if version is None and "version" not in row:
        return f'"{digest[:32]}"'
    return f'"{row["version"] if version is None else version}-{digest[:20]}"'


def tagged(row: Mapping[str, Any], fields: Collection[str] | None = None, **response: Any) -> Response:
    """The row, or these members of it, with its entity tag: for whoever may read it and no cache between."""
    headers = {"ETag": entity_tag(row), "Cache-Control": "private, no-cache", **response.pop("headers", {})}
    return Response(row if fields is None else only_fields(row, fields), headers=headers, **response)


def tagged_unless_known(
    request: Request, row: Mapping[str, Any], fields: Collection[str] | None = None
) -> HttpResponse | Response:
    """The row for who has not read it as it is; 304 for who has."""
    return not_modified(request, entity_tag(row)) or tagged(row, fields)


def not_modified(request: Request, tag: str) -> HttpResponse | None:
    """304 for who has this already, by If-None-Match."""
    known = [each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))]
    if tag not in known and known != ["*"]:
        return None
    return HttpResponse(status=304, headers={"ETag": tag})


def wants_unchanged(request: Request) -> bool:
    """Whether a change is to be made only where nobody else made one."""
    return "If-Match" in request.headers


def require_match(request: Request, row: Mapping[str, Any]) -> None:
    """Raises Problem, 412, where If-Match names another state than this."""
    if not wants_unchanged(request):
        return
    allowed = parse_etags(request.headers["If-Match"])
    # A weak tag starts with W/, so it equals no strong one.
    if allowed != ["*"] and entity_tag(row) not in allowed:
        raise precondition_failed(row.get("version"))


def require_version(request: Request, version: int) -> None:
    """As `require_match`, for rows with counts that rise by themselves: a tag of this version is enough."""
    if not wants_unchanged(request):
        return
    allowed = parse_etags(request.headers["If-Match"])
    if allowed != ["*"] and not any(tag.startswith(f'"{version}-') for tag in allowed):
        raise precondition_failed(version)


def precondition_failed(version: int | None) -> Problem:
    return Problem(
        "precondition-failed",
        _("It was changed since the state that If-Match names. Read it again."),
        extra={} if version is None else {"version": version},
    )
