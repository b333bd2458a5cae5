"""Entity tags: what did not change is not sent again, and what changed meanwhile is not overwritten (RFC 9110)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.field_choice import only_fields
from portal.api.problems import Problem
from portal.feedback.services import VersionConflict

# What a tag has behind the row's own, where the answer has more or something else in its place.
_SHOWN: Final = "+"


def entity_tag(row: Mapping[str, Any], version: int | None = None) -> str:
    """A strong tag of a row. Where it has a `version`, the rest tells what changes without a new one: a review.

    `version` is for rows that count their changes under another name.
    """
    digest = _digest(row)
    if version is None and "version" not in row:
        return f'"{digest[:32]}"'
    return f'"{row["version"] if version is None else version}-{digest[:20]}"'


def shown_tag(tag: str, row: Mapping[str, Any], shown: Mapping[str, Any] | None) -> str:
    """The tag of an answer that has something else in the row's place: things in the places of their ids, or more.

    It begins as the row's own does, so that a change by If-Match is held back by changes to the row alone.
    """
    return tag if shown is None or shown == row else f'{tag[:-1]}{_SHOWN}{_digest(shown)[:12]}"'


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def tagged(
    row: Mapping[str, Any],
    fields: Collection[str] | None = None,
    *,
    shown: Mapping[str, Any] | None = None,
    **response: Any,
) -> Response:
    """The row, or these members of it, with its entity tag: for whoever may read it and no cache between.

    `shown` is what the answer has in the row's place, as `shown_tag` has it.
    """
    answered = row if shown is None else shown
    headers = {
        "ETag": shown_tag(entity_tag(row), row, shown),
        "Cache-Control": "private, no-cache",
        **response.pop("headers", {}),
    }
    return Response(answered if fields is None else only_fields(answered, fields), headers=headers, **response)


def tagged_unless_known(
    request: Request,
    row: Mapping[str, Any],
    fields: Collection[str] | None = None,
    *,
    shown: Mapping[str, Any] | None = None,
) -> HttpResponse | Response:
    """As `tagged`, for who has not read it as it is; 304 for who has."""
    answer = tagged(row, fields, shown=shown)
    return not_modified(request, answer["ETag"]) or answer


def not_modified(request: Request, tag: str) -> HttpResponse | None:
    """304 for who has this already."""
    return HttpResponseNotModified(headers={"ETag": tag}) if is_known(request, tag) else None


def is_known(request: Request, tag: str) -> bool:
    """Whether the request's sender has this already, by If-None-Match."""
    known = [each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))]
    return tag in known or known == ["*"]


def wants_unchanged(request: Request) -> bool:
    """Whether a change is to be made only where nobody else made one."""
    return "If-Match" in request.headers


def require_match(request: Request, row: Mapping[str, Any]) -> None:
    """Raises Problem, 412, where If-Match names another state than this."""
    if not wants_unchanged(request):
        return
    allowed = parse_etags(request.headers["If-Match"])
    # A weak tag starts with W/, so it equals no strong one.
    read = {tag.partition(_SHOWN)[0].removesuffix('"') + '"' for tag in allowed}
    if allowed != ["*"] and entity_tag(row) not in read:
        raise precondition_failed(row.get("version"))


def require_version(request: Request, version: int) -> None:
    """As `require_match`, for rows with counts that rise by themselves: a tag of this version is enough."""
    if not wants_unchanged(request):
        return
    allowed = parse_etags(request.headers["If-Match"])
    if allowed != ["*"] and not any(tag.startswith(f'"{version}-') for tag in allowed):
        raise precondition_failed(version)


@contextmanager
def unchanged(request: Request, row: Mapping[str, Any]) -> Iterator[int | None]:
    """Inside, something is done to a row of this state: gives the version that it is to be done to, where that matters.

    Raises Problem, 412, where If-Match names another state, also where another request is faster in between.
    """
    require_match(request, row)
    try:
        yield row["version"] if wants_unchanged(request) else None
    except VersionConflict as conflict:
        if not wants_unchanged(request):
            raise
        raise precondition_failed(conflict.found) from conflict


def precondition_failed(version: int | None) -> Problem:
    return Problem(
        "precondition-failed",
        _("It was changed since the state that If-Match names. Read it again."),
        extra={} if version is None else {"version": version},
    )
