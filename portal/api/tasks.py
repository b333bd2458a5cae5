"""What the API leaves to a worker."""

from __future__ import annotations

from typing import Final

from celery import shared_task

from portal.accounts.worker_rounds import repeat_in_workers
from portal.api.idempotency import forget_keys

FORGET_EVERY_S: Final = 3_600.0


@shared_task(name="api.forget_idempotency_keys")
def forget_idempotency_keys() -> None:
    forget_keys()


repeat_in_workers("forget-idempotency-keys", FORGET_EVERY_S, forget_keys)
