"""Which POSTs were carried out under a key of their client's choosing."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import models

MAX_KEY_CHARACTERS: Final = 255
KEPT: Final = timedelta(days=1)


class IdempotencyKey(models.Model):
    """A key that its owner has used. What came of it is named, not copied: nothing here outlives its withdrawal."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=MAX_KEY_CHARACTERS)
    address = models.CharField(max_length=200)
    # SHA-256 of what was asked for.
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    made = models.CharField(max_length=64, blank=True)
    # Numbers of the rows that are still to do, of something that is done to many.
    waiting = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="idempotency_key_once_per_owner")]

    def __str__(self) -> str:
        return self.key
