"""What the playground leaves to workers beside its runs: what visitors left behind goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from celery import shared_task

from portal.accounts.worker_rounds import repeat_in_workers
from portal.playground.models import MaintenanceLease
from portal.playground.retention import forget_visitors

FORGET_EVERY_S: Final = 3_600.0
# A little less than an hour: a round that comes a moment early is not lost.
_SINGLE_FLIGHT: Final = timedelta(seconds=FORGET_EVERY_S - 60)


@shared_task(name="playground.forget_visitors")
def forget_visitors_task() -> None:
    """Once an hour, however many workers there are and whoever wakes them."""
    if MaintenanceLease.take("forget-visitors", _SINGLE_FLIGHT):
        forget_visitors()


repeat_in_workers("forget-visitors", FORGET_EVERY_S, forget_visitors_task)
