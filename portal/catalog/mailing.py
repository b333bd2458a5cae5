"""Wakes a worker for mails that wait in the outbox. Losing a wake-up costs seconds: the sweep sends another."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.catalog.models import EventMail, MailState

logger = logging.getLogger(__name__)

SEND_MAILS: Final = "catalog.send_event_mails"

# A hung broker holds a publisher for seconds; who publishes a card must not wait for it.
_publisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mails")


def dispatch_soon() -> None:
    """Once the current transaction commits, wake a worker, in the background."""
    transaction.on_commit(lambda: _publisher.submit(publish))


def publish() -> bool:
    """Wake a worker; False, and a line in the log, when the broker did not take it."""
    try:
        current_app.send_task(
            SEND_MAILS,
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0},
            confirm_timeout=settings.REDIS_SOCKET_TIMEOUT_S,
        )
    except Exception as error:  # noqa: BLE001  each broker library raises its own; the rows stay queued for the sweep
        logger.warning("Mails wait for the sweep, the broker did not take it: %s", error)
        return False
    return True


def dispatch_due_mails() -> None:
    """For the sweep: wake a worker where mails are due."""
    if EventMail.objects.filter(state=MailState.QUEUED, due_at__lte=timezone.now()).exists():
        publish()
