"""Wake a worker for a queued generation. Losing a wake-up costs seconds: the sweep sends another."""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.playground.models import Generation

logger = logging.getLogger(__name__)

RUN_GENERATION: Final = "playground.run_generation"
# After a restart of the broker the pooled connection is dead, which only the first try finds out.
ONCE_MORE: Final = {"max_retries": 1, "interval_start": 0}

# A hung broker holds a publisher for seconds; the person who sent the prompt must not wait for it.
_publisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dispatch")


def first_redispatch() -> datetime:
    """When the sweep may send a new generation's id again, should the first message be lost."""
    return timezone.now() + timedelta(seconds=settings.GENERATION_REDISPATCH_S)


def dispatch_soon(generation: Generation) -> None:
    """Once the current transaction commits, send the generation's id to its variant's queue, in the background."""
    generation_id, queue = generation.pk, generation.variant.queue
    transaction.on_commit(lambda: _publisher.submit(publish, generation_id, queue))


def publish(generation_id: uuid.UUID, queue: str) -> bool:
    """Send the id to the queue; False, and a line in the log, when the broker did not take it."""
    try:
        current_app.send_task(
            RUN_GENERATION,
            args=[str(generation_id)],
            queue=queue,
            retry=True,
            retry_policy=ONCE_MORE,
            confirm_timeout=settings.REDIS_SOCKET_TIMEOUT_S,
        )
    except Exception as error:  # noqa: BLE001  each broker library raises its own; the row stays queued for the sweep
        logger.warning("Generation %s waits for the sweep, the broker did not take it: %s", generation_id, error)
        return False
    return True
