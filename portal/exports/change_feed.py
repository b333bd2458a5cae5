"""Reading what moved since a place, so that who comes back reads every change once, also those that committed late.

Transactions are counted by the database's server. A dump that is read into another one brings changes along whose
transactions are yet to come there: they become the oldest, and the places that readers kept are found again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Self

from django.db import connection
from django.db.models import BigIntegerField, Max, Q, QuerySet, Value
from django.db.models.expressions import RawSQL

from portal.exports.change_rows import rows_now
from portal.exports.cursors import InvalidCursor
from portal.exports.models import Change, ChangeKind, RecordKind
from portal.exports.rows import iso_utc

_OLDEST_OPEN_TRANSACTION: Final = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
# A transaction of one's own may be beyond what the snapshot knows of.
_NEXT_TRANSACTION: Final = (
    "greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint,"
    " coalesce(pg_current_xact_id_if_assigned()::text::bigint + 1, 0))"
)
_BYTES: Final = 16
_LAST_ID: Final = 2**63 - 1
# What exports are made of.
JUDGEMENTS: Final = (RecordKind.SUBMISSION, RecordKind.VOTE)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Just behind the change of this transaction and id; the beginning is (0, 0)."""

    transaction_id: int = 0
    id: int = 0

    def encoded(self) -> str:
        packed = self.transaction_id.to_bytes(8, "big") + self.id.to_bytes(8, "big")
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def decoded(cls, text: str) -> Self:
        """Raises InvalidCursor."""
        try:
            packed = base64.b64decode(text.encode("ascii") + b"==", altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise InvalidCursor(text) from error
        place = cls(int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big"))
        if len(packed) != _BYTES or place.encoded() != text or max(place.transaction_id, place.id) >= 2**63:
            raise InvalidCursor(text)
        return place


@dataclass(frozen=True, slots=True)
class Changes:
    """Some changes in order, each with its record's row as it is now (None when it is gone), and where to go on."""

    rows: list[dict[str, Any]]
    next: Place
    has_more: bool


def changes_behind(since: Place, kinds: Collection[str] = tuple(RecordKind)) -> QuerySet[Change]:
    """What moved behind `since`, in order, without what may still get company before it."""
    changes = Change.objects.filter(
        Q(transaction_id__gte=since.transaction_id) & (Q(transaction_id__gt=since.transaction_id) | Q(id__gt=since.id))
    )
    if len(kinds) < len(RecordKind):
        changes = changes.filter(kind__in=kinds)
    if connection.vendor == "postgresql":
        # In the same statement, so that both are of one snapshot.
        oldest_open = RawSQL(_OLDEST_OPEN_TRANSACTION, [], output_field=BigIntegerField())  # noqa: S611  a constant
        changes = changes.filter(transaction_id__lt=oldest_open)
    return changes.order_by("transaction_id", "id")


def place_now() -> Place:
    """Behind everything that is committed by now, and before everything that is not."""
    if connection.vendor != "postgresql":
        return Place(0, Change.objects.aggregate(last=Max("id"))["last"] or 0)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_OLDEST_OPEN_TRANSACTION}")
        oldest_open = int(cursor.fetchone()[0])
    return Place(min(oldest_open, 2**63 - 1) - 1, _LAST_ID)


def settle_after_a_restore() -> None:
    """Make changes of transactions that are yet to come here, so of another server, the oldest, in their ids' order."""
    upcoming: RawSQL | Value = Value(1)
    if connection.vendor == "postgresql":
        upcoming = RawSQL(_NEXT_TRANSACTION, [], output_field=BigIntegerField())  # noqa: S611  a constant
    last = Change.objects.filter(transaction_id__gte=upcoming).aggregate(last=Max("id"))["last"]
    if last is not None:
        Change.objects.filter(id__lte=last, transaction_id__gt=0).update(transaction_id=0)


def found_again(place: Place) -> Place:
    """The place itself as long as its change is where it was; after a restore, behind what was told before it.

    What is not known to have been told is told again. Call after `settle_after_a_restore`.
    """
    if place == Place() or Change.objects.filter(pk=place.id, transaction_id=place.transaction_id).exists():
        return place
    if place.id == _LAST_ID and place.transaction_id <= place_now().transaction_id:
        return place
    told = Change.objects.filter(transaction_id=0, id__lte=place.id).aggregate(last=Max("id"))["last"]
    return Place(0, told or 0)


def read_changes(since: Place, limit: int, kinds: Collection[str] = JUDGEMENTS) -> Changes:
    """At most `limit` changes of these kinds behind `since`, in a constant number of queries."""
    settle_after_a_restore()
    since = found_again(since)
    found = list(changes_behind(since, kinds)[: limit + 1])
    chosen = found[:limit]
    rows = rows_now((change.kind, change.record) for change in chosen)
    told = [
        {
            "kind": change.kind,
            "id": change.record,
            "change": change.change,
            "at": iso_utc(change.at),
            "row": None if change.change == ChangeKind.WITHDRAWN else rows.get((change.kind, change.record)),
        }
        for change in chosen
    ]
    last = Place(chosen[-1].transaction_id, chosen[-1].pk) if chosen else since
    return Changes(told, last, len(found) > limit)
