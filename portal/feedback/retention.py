"""What visitors began to answer in a campaign and never sent goes with what else they left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from portal.feedback.models import CampaignDraft
from portal.playground.retention import forget_too


@forget_too
def left_drafts(before: datetime, among: Sequence[Any] | None = None) -> QuerySet[CampaignDraft]:
    """Nobody but its author reads one."""
    left = CampaignDraft.objects.filter(visitor__isnull=False, saved_at__lt=before).order_by("saved_at")
    return left if among is None else left.filter(pk__in=among)
