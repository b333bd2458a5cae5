"""Pages of lists in an order that no arrival changes: following `next` reads every row once."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework.request import Request

from portal.api import schema
from portal.exports.criteria import InvalidCriterion
from portal.exports.cursors import InvalidCursor, Position
from portal.exports.queries import behind

Row = TypeVar("Row", bound=Model)

_BYTES: Final = 8
_ENCODED_CHARACTERS: Final = 12


def read_limit(text: str | None) -> int:
    """`limit`, which the operation's parameter keeps in its bounds."""
    return schema.DEFAULT_PAGE_ROWS if text is None else int(text)


def read_page(request: Request, rows: QuerySet[Row]) -> tuple[list[Row], str | None]:
    """The rows of the page that `limit` and `cursor` name, and the next one's address; in the order of their numbers.

    Raises InvalidCriterion.
    """
    limit = read_limit(request.query_params.get("limit"))
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        rows = rows.filter(pk__gt=_decoded(cursor))
    found = list(rows.order_by("pk")[: limit + 1])
    if len(found) <= limit:
        return found, None
    chosen = found[:limit]
    return chosen, next_address(request, _encoded(chosen[-1].pk))


def read_latest_page(request: Request, rows: QuerySet[Row], by: str = "pk") -> tuple[list[Row], str | None]:
    """As `read_page`, the last number first, by the column that counts: what arrives stands before the first page."""
    limit = read_limit(request.query_params.get("limit"))
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        rows = rows.filter(**{f"{by}__lt": _decoded(cursor)})
    found = list(rows.order_by(f"-{by}")[: limit + 1])
    if len(found) <= limit:
        return found, None
    return found[:limit], next_address(request, _encoded(getattr(found[limit - 1], by)))


def read_created_page(request: Request, rows: QuerySet[Row]) -> tuple[list[Row], str | None]:
    """As `read_page`, for rows whose `id` is random: in the order of their creation (`created_at`, `id`)."""
    limit = read_limit(request.query_params.get("limit"))
    cursor = request.query_params.get("cursor")
    found = list(behind(rows, None if cursor is None else read_position(cursor))[: limit + 1])
    if len(found) <= limit:
        return found, None
    last: Any = found[limit - 1]
    return found[:limit], next_address(request, Position(last.created_at, last.pk).encoded())


def read_newest_page(request: Request, rows: QuerySet[Row]) -> tuple[list[Row], str | None]:
    """As `read_created_page`, the newest first: what arrives stands before the first page."""
    limit = read_limit(request.query_params.get("limit"))
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        last = read_position(cursor)
        rows = rows.filter(Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.id))
    found = list(rows.order_by("-created_at", "-pk")[: limit + 1])
    if len(found) <= limit:
        return found, None
    final: Any = found[limit - 1]
    return found[:limit], next_address(request, Position(final.created_at, final.pk).encoded())


def read_position(cursor: str) -> Position:
    """Raises InvalidCriterion."""
    try:
        return Position.decoded(cursor)
    except InvalidCursor as error:
        raise InvalidCriterion("cursor", _("Is not a cursor that this API gave out.")) from error


def next_address(request: Request, cursor: str) -> str:
    """The request's own address, from there on."""
    query = urlencode({**{name: request.query_params[name] for name in request.query_params}, "cursor": cursor})
    return request.build_absolute_uri(f"{request.path}?{query}")


def _encoded(number: Any) -> str:
    return base64.urlsafe_b64encode(int(number).to_bytes(_BYTES, "big", signed=True)).decode("ascii")


def _decoded(text: str) -> int:
    try:
        packed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        packed = b""
    if len(packed) != _BYTES or len(text) != _ENCODED_CHARACTERS:
        raise InvalidCriterion("cursor", _("Is not a cursor that this API gave out."))
    return int.from_bytes(packed, "big", signed=True)
