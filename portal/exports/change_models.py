"""What moved: a line per record that was created, changed or withdrawn, in an order to rely on."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.db import connection, models
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

_CURRENT_TRANSACTION: Final = "pg_current_xact_id()::text::bigint"


class RecordKind(models.TextChoices):
    """What moved. A verdict is what reviewers decided on a submission or a vote, and has its id."""

    SUBMISSION = "submission", _("Submission")
    VOTE = "vote", _("Vote")
    VERDICT = "verdict", _("Verdict")
    LIMITATION = "limitation", _("Known limitation")
    SNAPSHOT = "snapshot", _("Snapshot")


class ChangeKind(models.TextChoices):
    """How it moved; withdrawn is also what was deleted, or is not to be published any more."""

    CREATED = "created", _("Created")
    CHANGED = "changed", _("Changed")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class Change(models.Model):
    """Written inside the transaction that moves the record.

    On PostgreSQL ids are handed out before transactions commit, so a reader that only remembers the last id misses what
    commits late. Hence the order is that of transactions, and only those are read before which none is still open.
    SQLite has one writer at a time: there the ids' order is the commits'.
    """

    # 64-bit transaction id on PostgreSQL, 0 elsewhere; below 0 what another server counted (change_feed).
    transaction_id = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=RecordKind)
    # One of the two says which one; snapshots have numbers.
    record_id = models.UUIDField(null=True)
    record_number = models.PositiveIntegerField(null=True)
    change = models.CharField(max_length=10, choices=ChangeKind)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["transaction_id", "id"]
        indexes = [models.Index(fields=["transaction_id", "id"], name="change_order")]
        constraints = [
            models.CheckConstraint(
                condition=Q(record_id__isnull=False, record_number__isnull=True)
                | Q(record_id__isnull=True, record_number__isnull=False),
                name="change_of_one_record",
            )
        ]

    def __str__(self) -> str:
        return f"{self.change} {self.kind} {self.record}"

    @property
    def record(self) -> str:
        """Which one, as it is told."""
        return str(self.record_id if self.record_id is not None else self.record_number)

    @classmethod
    def note(cls, kind: RecordKind, record: uuid.UUID | int, change: ChangeKind) -> None:
        """Say that a record moved. Call inside the transaction that moves it."""
        number = RawSQL(_CURRENT_TRANSACTION, ()) if connection.vendor == "postgresql" else 0  # noqa: S611  no input
        which: dict[str, Any] = {"record_number" if isinstance(record, int) else "record_id": record}
        cls.objects.create(transaction_id=number, kind=kind, change=change, **which)
