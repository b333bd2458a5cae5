"""Stored rankings: computed by one process at a time, of votes that are counted again before it is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Ranking(models.Model):
    """A computed leaderboard: of which votes, when, and what came out (ranking.py has its form)."""

    # Of the filters: equal questions share a row.
    key = models.CharField(max_length=64, primary_key=True)
    filters = models.JSONField(_("filters"), default=dict)
    result = models.JSONField(_("result"), null=True, blank=True)
    # The votes that it was made of: how many, and the last change among them.
    vote_count = models.PositiveIntegerField(_("votes"), default=0)
    high_water = models.DateTimeField(_("newest vote"), null=True, blank=True)
    computed_at = models.DateTimeField(_("computed"), null=True, blank=True)
    # Until then nobody else computes it: while somebody does, and for a rest after that.
    busy_until = models.DateTimeField(default=timezone.now)
    asked_at = models.DateTimeField(_("last asked for"), default=timezone.now)

    class Meta:
        verbose_name = _("ranking")
        verbose_name_plural = _("rankings")
        ordering = ["-asked_at"]
        indexes = [models.Index(fields=["asked_at"], name="ranking_asked")]

    def __str__(self) -> str:
        return self.key

    def is_made_of(self, votes: int, changed_at: datetime | None) -> bool:
        """Whether these are the votes that it was computed from."""
        return self.computed_at is not None and (self.vote_count, self.high_water) == (votes, changed_at)

    def claim(self, longest: timedelta) -> bool:
        """free → busy: whoever gets True computes it."""
        now = timezone.now()
        return Ranking.objects.filter(pk=self.pk, busy_until__lte=now).update(busy_until=now + longest) == 1

    def release(self, rest: timedelta) -> None:
        """busy → free after a rest, with the result that it had."""
        Ranking.objects.filter(pk=self.pk).update(busy_until=timezone.now() + rest)

    def store(self, result: dict[str, Any], votes: int, changed_at: datetime | None, *, rest: timedelta) -> None:
        """busy → free after a rest, with a new result."""
        now = timezone.now()
        Ranking.objects.filter(pk=self.pk).update(
            result=result, vote_count=votes, high_water=changed_at, computed_at=now, busy_until=now + rest
        )
