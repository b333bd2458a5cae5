"""What every worker does again and again beside its tasks, so that a worker alone needs no beat."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from celery import signals
from django.db import connection

logger = logging.getLogger(__name__)


def repeat_in_workers(name: str, every_s: float, work: Callable[[], object]) -> None:
    """Have `work` done every so many seconds while a worker lives, in a thread `name`; an error costs one round.

    Called where a worker's modules are loaded; other processes load them without consequence.
    """
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(every_s):
            try:
                work()
            except Exception:
                logger.exception("A worker's %s goes on after an error", name)
            finally:
                connection.close()

    def begin(**_kwargs: Any) -> None:
        threading.Thread(target=repeat, name=name, daemon=True).start()

    def end(**_kwargs: Any) -> None:
        over.set()

    signals.worker_ready.connect(begin, weak=False)
    signals.worker_shutting_down.connect(end, weak=False)
