"""Wakes the workers when something moved below."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from portal.exports.models import Change
from portal.webhooks.waking import wake_soon


@receiver(post_save, sender=Change, dispatch_uid="webhooks.wake")
def wake_after_change(**kwargs: Any) -> None:
    wake_soon()
