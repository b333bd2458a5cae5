"""What every worker does again and again beside its tasks, so that a worker alone needs no beat."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from celery import signals
from django.db import DatabaseError, InterfaceError, connection

logger = logging.getLogger(__name__)

# A worker that is restarted often does what is seldom due all the same.
FIRST_WITHIN_S: Final = 60.0


def repeat_in_workers(name: str, every_s: float, work: Callable[[], object]) -> None:
    """Have `work` done every so many seconds while a worker lives, in a thread `name`; an error costs one round.

    The first time comes within a minute.

    Called where a worker's modules are loaded; other processes load them without consequence.
    """
    over = threading.Event()

    def repeat() -> None:
        pause_s = min(every_s, FIRST_WITHIN_S)
        while not over.wait(pause_s):
            pause_s = every_s
            try:
                work()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("A worker's %s waits for the database: %s", name, error)
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
