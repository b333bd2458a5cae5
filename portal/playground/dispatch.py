"""Wake a worker for a queued generation. Losing a wake-up costs seconds: the sweep sends another."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
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
FIRST_RETRY_S: Final = 0.25
LAST_RETRY_S: Final = 2.0
# By then it has long been the sweep's.
GIVE_UP_S: Final = 30.0


def first_redispatch() -> datetime:
    """When the sweep may send a new generation's id again, should the first message be lost."""
    return timezone.now() + timedelta(seconds=settings.GENERATION_REDISPATCH_S)


def dispatch_soon(generation: Generation) -> None:
    """Once the current transaction commits, send the generation's id to its variant's queue, in the background."""
    generation_id, queue = generation.pk, generation.variant.queue
    transaction.on_commit(lambda: _sender.add(generation_id, queue))


def wait_until_sent(generation_ids: Iterable[uuid.UUID], patience_s: float) -> bool:
    """Whether the broker took what `dispatch_soon` had this process send; False when it has not by then."""
    unsent = [sent for each in generation_ids if (sent := _sender.unsent(each)) is not None]
    return not wait(unsent, timeout=patience_s).not_done


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
        logger.warning("Generation %s waits, the broker did not take it: %s", generation_id, error)
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Unsent:
    queue: str
    since: float = field(default_factory=time.monotonic)
    sent: Future[None] = field(default_factory=Future)


class _Sender:
    """The thread that sends a process's wake-ups, each until the broker takes it, for some seconds at most.

    A hung broker holds a publisher for seconds; the person who sent the prompt must not wait for it.
    """

    def __init__(self) -> None:
        self._unsent: dict[uuid.UUID, _Unsent] = {}
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, generation_id: uuid.UUID, queue: str) -> None:
        with self._wake:
            self._unsent[generation_id] = _Unsent(queue)
            if self._thread is None:
                self._thread = threading.Thread(target=self._send_on, name="dispatch", daemon=True)
                self._thread.start()
            self._wake.notify()

    def unsent(self, generation_id: uuid.UUID) -> Future[None] | None:
        """Done once the broker has taken the message; None when it has, or when there never was one."""
        with self._wake:
            message = self._unsent.get(generation_id)
        return message.sent if message is not None else None

    def _send_on(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._unsent)
                generation_id, message = next(iter(self._unsent.items()))
            is_sent = publish(generation_id, message.queue)
            with self._wake:
                del self._unsent[generation_id]
                if not is_sent and time.monotonic() - message.since < GIVE_UP_S:
                    # Behind the others: it may be its own queue alone that is broken.
                    self._unsent[generation_id] = message
            if is_sent:
                message.sent.set_result(None)
                retry_s = FIRST_RETRY_S
            else:
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)


_sender: Final = _Sender()
