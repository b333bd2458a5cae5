"""What moved: a line per submission or vote that was given, changed or withdrawn, in an order to rely on."""

from __future__ import annotations

from typing import Final

from django.db import connection, models
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

_CURRENT_TRANSACTION: Final = "pg_current_xact_id()::text::bigint"


class RecordKind(models.TextChoices):
    """What moved."""

    SUBMISSION = "submission", _("Submission")
    VOTE = "vote", _("Vote")


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

    # 64-bit transaction id on PostgreSQL, 0 elsewhere.
    transaction_id = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=RecordKind)
    record_id = models.UUIDField()
    change = models.CharField(max_length=10, choices=ChangeKind)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["transaction_id", "id"]
        indexes = [models.Index(fields=["transaction_id", "id"], name="change_order")]

    def __str__(self) -> str:
        return f"{self.change} {self.kind} {self.record_id}"

    @classmethod
    def note(cls, kind: RecordKind, record_id: object, change: ChangeKind) -> None:
        """Say that a record moved. Call inside the transaction that moves it."""
        number = RawSQL(_CURRENT_TRANSACTION, ()) if connection.vendor == "postgresql" else 0  # noqa: S611  no input
        cls.objects.create(transaction_id=number, kind=kind, record_id=record_id, change=change)
