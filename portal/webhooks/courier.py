"""The thread in every worker that makes messages and has them sent. It sleeps until it is woken, or for some seconds.

Each message is sent by a thread of its own, so that no receiver, however slow, keeps a place of the runs: at most a few
at a time, one to each endpoint. A worker that dies loses none: the row's lease runs out, and another sends it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from datetime import timedelta
from typing import Any, Final

from celery import signals
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from portal.webhooks.delivering import deliver, due, forget_old
from portal.webhooks.fan_out import fan_out
from portal.webhooks.models import Delivery

logger = logging.getLogger(__name__)

ROUND_S: Final = 5.0
MOST_AT_A_TIME: Final = 8
FORGET_EVERY_S: Final = 3_600.0


class Courier:
    """Runs until `end`; `wake` begins the next round at once."""

    def __init__(self) -> None:
        self._something = threading.Event()
        self._is_over = False
        self._lock = threading.Lock()
        self._busy: set[uuid.UUID] = set()
        self._forget_at = time.monotonic()

    def begin(self) -> None:
        threading.Thread(target=self._run, name="webhooks", daemon=True).start()

    def wake(self) -> None:
        self._something.set()

    def end(self) -> None:
        self._is_over = True
        self.wake()

    def _run(self) -> None:
        while not self._is_over:
            try:
                self._round()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("The webhooks wait for the database: %s", error)
            except Exception:
                logger.exception("The webhooks go on after an error")
            finally:
                connection.close()
            self._something.wait(ROUND_S)
            self._something.clear()

    def _round(self) -> None:
        fan_out()
        with self._lock:
            busy = set(self._busy)
        for delivery in due(MOST_AT_A_TIME - len(busy), busy):
            with self._lock:
                self._busy.add(delivery.endpoint_id)
            threading.Thread(target=self._send, args=[delivery], name="webhook", daemon=True).start()
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + FORGET_EVERY_S
            forget_old(timedelta(days=settings.WEBHOOK_LOG_DAYS))

    def _send(self, delivery: Delivery) -> None:
        try:
            deliver(delivery)
        except Exception:
            logger.exception("Message %s waits for its lease to run out", delivery.message_id)
        finally:
            connection.close()
            with self._lock:
                self._busy.discard(delivery.endpoint_id)
            # The next one to this endpoint may wait already.
            self.wake()


courier: Final = Courier()


@signals.worker_ready.connect
def begin(sender: Any, **kwargs: Any) -> None:
    courier.begin()


@signals.worker_shutting_down.connect
def end(**kwargs: Any) -> None:
    courier.end()
