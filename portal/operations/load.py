"""How busy the installation is: runs waiting and running per variant, and what the living workers can hold."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet, Sum

from portal.catalog.models import Variant
from portal.operations.readiness import living_workers
from portal.playground.models import State


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers alive, and how many runs they can hold together."""

    count: int
    capacity: int


def variant_loads() -> QuerySet[Variant]:
    """Each runnable variant of a published card, with `queued` and `running`, in one query."""
    return (
        Variant.objects.filter(is_runnable=True, card__is_published=True)
        .select_related("card")
        .annotate(
            queued=Count("generations", filter=Q(generations__state=State.QUEUED)),
            running=Count("generations", filter=Q(generations__state=State.RUNNING)),
        )
        .order_by("card__owner_name", "card__slug", "position", "pk")
    )


def workers_at_work() -> Workers:
    """What the workers that were heard of lately can do."""
    totals = living_workers().aggregate(count=Count("pk"), capacity=Sum("capacity"))
    return Workers(count=totals["count"], capacity=totals["capacity"] or 0)
