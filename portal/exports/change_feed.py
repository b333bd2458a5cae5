"""Reading what moved since a place, so that who comes back reads every change once, also those that committed late."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from django.conf import settings
from django.db import connection
from django.db.models import BigIntegerField, Q
from django.db.models.expressions import RawSQL

from portal.exports.criteria import Criteria
from portal.exports.cursors import InvalidCursor
from portal.exports.models import Change, ChangeKind, RecordKind
from portal.exports.queries import read_records
from portal.exports.rows import iso_utc
from portal.exports.tables.comparisons import comparison_row, selected_votes
from portal.exports.tables.submissions import submission_row
from portal.feedback.models import PUBLISHABLE, Submission

_OLDEST_OPEN_TRANSACTION: Final = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_BYTES: Final = 16


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


def read_changes(since: Place, limit: int) -> Changes:
    """At most `limit` changes behind `since`, in a constant number of queries."""
    changes = Change.objects.filter(
        Q(transaction_id__gte=since.transaction_id) & (Q(transaction_id__gt=since.transaction_id) | Q(id__gt=since.id))
    )
    if connection.vendor == "postgresql":
        # In the same statement, so that both are of one snapshot.
        oldest_open = RawSQL(_OLDEST_OPEN_TRANSACTION, [], output_field=BigIntegerField())  # noqa: S611  a constant
        changes = changes.filter(transaction_id__lt=oldest_open)
    found = list(changes.order_by("transaction_id", "id")[: limit + 1])
    chosen = found[:limit]
    rows = _rows_now(chosen)
    told = [
        {
            "kind": change.kind,
            "id": str(change.record_id),
            "change": change.change,
            "at": iso_utc(change.at),
            "row": None if change.change == ChangeKind.WITHDRAWN else rows.get(change.record_id),
        }
        for change in chosen
    ]
    last = Place(chosen[-1].transaction_id, chosen[-1].pk) if chosen else since
    return Changes(told, last, len(found) > limit)


def _rows_now(changes: Iterable[Change]) -> dict[uuid.UUID, dict[str, Any]]:
    salt = settings.EXPORT_SALT.encode()
    ids: dict[str, set[uuid.UUID]] = {kind.value: set() for kind in RecordKind}
    for change in changes:
        ids[change.kind].add(change.record_id)
    rows: dict[uuid.UUID, dict[str, Any]] = {}
    live = Submission.objects.filter(pk__in=ids["submission"], withdrawn_at=None, consent__in=PUBLISHABLE)
    for chunk in read_records(live):
        rows |= {record.id: submission_row(record, salt) for record in chunk}
    for vote in selected_votes(Criteria()).filter(pk__in=ids["vote"]):
        rows[vote.pk] = comparison_row(vote, salt)
    return rows
