"""What the playground leaves to workers beside its runs: what visitors left behind goes."""

from __future__ import annotations

from typing import Final

from celery import shared_task

from portal.accounts.worker_rounds import repeat_in_workers
from portal.playground.retention import forget_visitors

FORGET_EVERY_S: Final = 3_600.0


@shared_task(name="playground.forget_visitors")
def forget_visitors_task() -> None:
    forget_visitors()


repeat_in_workers("forget-visitors", FORGET_EVERY_S, forget_visitors)
