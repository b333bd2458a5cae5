"""The append-only history: who did what to which row, and when. Rows are added, and nothing changes or removes them."""

from __future__ import annotations

from typing import Any, Final

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.accounts.models import User


class HistoryIsAppendOnly(TypeError):
    """Somebody tried to change or remove an entry of the history."""


class _AppendOnly(models.QuerySet["Event"]):
    def update(self, **kwargs: Any) -> int:
        raise HistoryIsAppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise HistoryIsAppendOnly


class Event(models.Model):
    """One change. `changes` names what changed, never a contributor's words: withdrawing has to delete those.

    The actor is a number and no reference: deleting an account must neither change the history nor be kept from it.
    """

    at = models.DateTimeField(_("when"), default=timezone.now, editable=False)
    actor_id = models.BigIntegerField(_("account"), null=True, editable=False)
    target = models.CharField(_("kind of thing"), max_length=60, editable=False)
    target_id = models.CharField(_("which"), max_length=40, editable=False)
    action = models.CharField(_("what happened"), max_length=40, editable=False)
    changes = models.JSONField(_("what changed"), default=dict, editable=False)
    request_id = models.CharField(_("request"), max_length=64, blank=True, editable=False)

    objects = _AppendOnly.as_manager()

    class Meta:
        verbose_name = _("history entry")
        verbose_name_plural = _("history")
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["target", "target_id", "-at", "-id"], name="event_of_target"),
            models.Index(fields=["-at", "-id"], name="event_newest"),
            models.Index(fields=["actor_id", "-at", "-id"], name="event_of_actor"),
            models.Index(fields=["action", "-at", "-id"], name="event_of_action"),
        ]

    def __str__(self) -> str:
        return f"{self.target} {self.target_id}: {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise HistoryIsAppendOnly
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise HistoryIsAppendOnly


SUBMISSION: Final = "feedback.submission"


def record_event(row: models.Model, action: str, actor: User | None = None, **changes: Any) -> Event:
    """Write what happened to `row` within the transaction that does it."""
    return Event.objects.create(
        actor_id=actor.pk if actor is not None else None,
        target=row._meta.label_lower,  # noqa: SLF001
        target_id=str(row.pk),
        action=action,
        changes=changes,
    )
