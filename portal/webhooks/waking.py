"""Wakes a worker for messages. Losing a wake-up costs seconds: every worker looks by itself."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import transaction

from portal.webhooks.models import Endpoint

logger = logging.getLogger(__name__)

WAKE: Final = "webhooks.wake"
# A hung broker holds a publisher for seconds; who gives a judgement must not wait for it.
_publisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="webhooks")
_is_pending = threading.Event()


def wake_soon() -> None:
    """Once the current transaction commits, wake a worker, in the background; many at once are one."""
    transaction.on_commit(_submit, robust=True)


def _submit() -> None:
    # Most installations have no webhooks, and nobody to wake.
    if not _is_pending.is_set() and Endpoint.objects.filter(disabled="").exists():
        _is_pending.set()
        _publisher.submit(_publish)


def _publish() -> None:
    _is_pending.clear()
    try:
        current_app.send_task(WAKE, retry=False, confirm_timeout=settings.REDIS_SOCKET_TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  each broker library raises its own; the rows wait for the next look
        logger.warning("Webhooks wait for the next look, the broker did not take it: %s", error)
