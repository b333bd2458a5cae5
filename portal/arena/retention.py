"""Comparisons and battles of visitors go with what else those left, where nobody judged them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, Model, OuterRef, QuerySet

from portal.arena.models import Comparison, Contender, Contest, Reply, Vote
from portal.playground.models import Conversation
from portal.playground.retention import forget_too, needed_by_nobody, without_referred

_PARTS: Final[Mapping[type[Model], str]] = {
    Contest: "",
    Contender: "__contest",
    Reply: "__contender__contest",
    Comparison: "__contest",
}


@forget_too
def left_contests(before: datetime, among: Sequence[Any] | None = None) -> QuerySet[Contest]:
    """Those without a vote or a judgement whose conversations all rest and are needed by nobody: they go with it."""
    left = Contest.objects.filter(visitor__isnull=False, created_at__lt=before)
    its = Conversation.objects.filter(contender__contest__visitor__isnull=False, updated_at__lt=before)
    if among is not None:
        left, its = left.filter(pk__in=among), its.filter(contender__contest__in=among)
    needed = Contender.objects.filter(contest=OuterRef("pk")).exclude(
        conversation__in=needed_by_nobody(its, beside="arena")
    )
    voted = Vote.objects.filter(comparison__contest=OuterRef("pk"))
    return without_referred(left, _PARTS).exclude(Exists(voted) | Exists(needed)).order_by("created_at")
