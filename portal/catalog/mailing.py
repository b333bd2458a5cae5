"""Wakes a worker for mails that wait in the outbox. Losing a wake-up costs seconds: the sweep sends another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.catalog.models import MailState, Outgoing

logger = logging.getLogger(__name__)

SEND_MAILS: Final = "catalog.send_event_mails"

# Each kind of row that mails are made of, and what sends the due ones; an app adds its own when it is loaded.
_outboxes: Final[dict[type[Outgoing], Callable[[], int]]] = {}

# A hung broker holds a publisher for seconds; who publishes a card must not wait for it.
_publisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mails")


def add_outbox(kind: type[Outgoing], send_due: Callable[[], int]) -> None:
    """Have `send_due` called when rows of this kind are due; it says how many mails went out."""
    _outboxes[kind] = send_due


def send_all_due() -> None:
    """For the worker: what is due in every outbox."""
    for send_due in _outboxes.values():
        send_due()


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
    now = timezone.now()
    if any(kind._default_manager.filter(state=MailState.QUEUED, due_at__lte=now).exists() for kind in _outboxes):  # noqa: SLF001
        publish()
