"""Reading what moved since a place, so that who comes back reads every change once, also those that committed late.

Transactions are counted by the database's server. A dump that is read into another one brings changes along whose
transactions are yet to come there: they go below zero, in the order they had, and the places that readers kept are
found again. Each restore has a span of numbers of its own, so that the old number can still be told from the new one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Self

from django.db import connection
from django.db.models import BigIntegerField, F, Max, Q, QuerySet, TextField, Value
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
# Stands in places that older versions kept: behind all of a transaction, whatever its changes.
_LAST_ID: Final = 2**63 - 1
# More transactions than a server counts in a lifetime, and room below zero for 16,384 restores.
_SPAN: Final = 2**48
_FIRST_SPAN: Final = -(2**62)
# What exports are made of.
JUDGEMENTS: Final = (RecordKind.SUBMISSION, RecordKind.VOTE)


@dataclass(frozen=True, slots=True)
class Place:
    """Just behind the change of this transaction and id; (0, 0), where none can be, is the beginning."""

    transaction_id: int = 0
    id: int = 0

    def encoded(self) -> str:
        packed = self.transaction_id.to_bytes(8, "big", signed=True) + self.id.to_bytes(8, "big")
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def decoded(cls, text: str) -> Self:
        """Raises InvalidCursor."""
        try:
            packed = base64.b64decode(text.encode("ascii") + b"==", altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise InvalidCursor(text) from error
        if len(packed) != _BYTES or packed[8] >= 0x80:  # an id has no sign
            raise InvalidCursor(text)
        place = cls(int.from_bytes(packed[:8], "big", signed=True), int.from_bytes(packed[8:], "big"))
        if place.encoded() != text:
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
    changes = Change.objects.all()
    if since != Place():
        changes = changes.filter(
            Q(transaction_id__gte=since.transaction_id),
            Q(transaction_id__gt=since.transaction_id) | Q(id__gt=since.id),
        )
    if len(kinds) < len(RecordKind):
        changes = changes.filter(kind__in=kinds)
    if connection.vendor == "postgresql":
        # In the same statement, so that both are of one snapshot.
        oldest_open = RawSQL(_OLDEST_OPEN_TRANSACTION, [], output_field=BigIntegerField())  # noqa: S611  a constant
        changes = changes.filter(transaction_id__lt=oldest_open)
    return changes.order_by("transaction_id", "id")


def place_now() -> Place:
    """Behind everything that could be told by now, and before everything else."""
    last = changes_behind(Place()).reverse().values_list("transaction_id", "id").first()
    return Place(*last) if last else Place()


def settle_after_a_restore() -> None:
    """Put the changes of another server's transactions below all of this one's, in the order they have there.

    They are noticed as long as some of their transactions are yet to come here, by one look at the index: so call it
    soon after a restore, before this server has counted that far, and not only when somebody reads.
    """
    upcoming: RawSQL | Value = Value(1)
    row_writer: RawSQL | Value = Value("")
    if connection.vendor == "postgresql":
        upcoming = RawSQL(_NEXT_TRANSACTION, [], output_field=BigIntegerField())  # noqa: S611  a constant
        row_writer = RawSQL("xmin::text", [], output_field=TextField())
    ahead = Change.objects.filter(transaction_id__gte=upcoming)
    newest = ahead.order_by("-transaction_id", "-id").annotate(row_writer=row_writer).first()
    if newest is None:
        return
    # Ids go on where the dump's ended. Of two transactions side by side the earlier may have the later id, and be past
    # already: but a dump's table is read in by one statement, so its rows have one writer here.
    restored = Q(id__lte=ahead.aggregate(last=Max("id", default=newest.pk))["last"])
    if newest.row_writer:
        restored |= Q(row_writer=newest.row_writer)
    settled = Change.objects.filter(transaction_id__lt=0).aggregate(last=Max("transaction_id"))["last"]
    span = _FIRST_SPAN if settled is None else (settled // _SPAN + 1) * _SPAN
    # What is below zero since an earlier restore stays there. Who settles at the same time finds nothing left.
    Change.objects.annotate(row_writer=row_writer).filter(restored, transaction_id__gte=0).update(
        transaction_id=F("transaction_id") + span
    )


def found_again(place: Place) -> Place:
    """The place itself as long as its change is where it was; after a restore, behind where that change is now.

    Of a place whose change is not here, since the backup was older, only that much counts as told as was before it
    in the oldest dump: the rest is told again. Call after `settle_after_a_restore`.
    """
    if place == Place():
        return place
    now = Change.objects.filter(pk=place.id).values_list("transaction_id", flat=True).first()
    if now == place.transaction_id:
        return place
    if now is not None and now < 0 and now % _SPAN == place.transaction_id:
        return Place(now, place.id)
    if place.id == _LAST_ID and 0 <= place.transaction_id < _next_transaction():
        return place
    return Place(_FIRST_SPAN + place.transaction_id % _SPAN, place.id)


def _next_transaction() -> int:
    if connection.vendor != "postgresql":
        return 1
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_NEXT_TRANSACTION}")
        return int(cursor.fetchone()[0])


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
