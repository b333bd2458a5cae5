"""What the broker wakes: the worker's courier. The rows say what there is to do."""

from __future__ import annotations

from celery import shared_task

from portal.webhooks.courier import courier
from portal.webhooks.waking import WAKE


@shared_task(name=WAKE)
def wake() -> None:
    courier.wake()
