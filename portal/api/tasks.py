"""What the API leaves to a worker."""

from __future__ import annotations

from celery import shared_task

from portal.api.idempotency import forget_keys


@shared_task(name="api.forget_idempotency_keys")
def forget_idempotency_keys() -> None:
    """Every hour."""
    forget_keys()
