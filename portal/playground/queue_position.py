"""Where a queued generation stands, and about how long it will wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Avg, F, Q, Sum
from django.utils import timezone

from portal.playground.models import Generation, State, WorkerHeartbeat

RECENT_RUNS: Final = 50
ALIVE: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """`position` 1 is next; `eta_s` is None while there is nothing to estimate from."""

    position: int
    eta_s: float | None


def queue_position(generation: Generation) -> QueuePosition:
    """Position among the queued runs of the same queue, oldest first, and the wait in seconds.

    The estimate is how long recent runs took, times the runs ahead, spread over the slots of the living workers.
    """
    same_queue = Generation.objects.filter(variant__queue=generation.variant.queue)
    ahead = same_queue.filter(
        Q(queued_at__lt=generation.queued_at) | Q(queued_at=generation.queued_at, pk__lt=generation.pk),
        state=State.QUEUED,
    ).count()
    running = same_queue.filter(state=State.RUNNING).count()
    slots = living_slots()
    duration_s = _recent_duration_s(generation)
    if duration_s is None or slots == 0:
        return QueuePosition(ahead + 1, None)
    rounds = max(0, ahead + 1 + running - slots)
    return QueuePosition(ahead + 1, round(rounds * duration_s / slots, 1))


def living_slots() -> int:
    """How many generations the workers that were heard of lately can run at once."""
    living = WorkerHeartbeat.objects.filter(seen_at__gte=timezone.now() - ALIVE)
    return living.aggregate(total=Sum("capacity"))["total"] or 0


def _recent_duration_s(generation: Generation) -> float | None:
    recent = (
        Generation.objects.filter(variant=generation.variant, state=State.SUCCEEDED, started_at__isnull=False)
        .order_by("-created_at", "-id")
        .values("pk")[:RECENT_RUNS]
    )
    average: timedelta | None = Generation.objects.filter(pk__in=list(recent.values_list("pk", flat=True))).aggregate(
        average=Avg(F("finished_at") - F("started_at"))
    )["average"]
    return average.total_seconds() if average is not None else None
