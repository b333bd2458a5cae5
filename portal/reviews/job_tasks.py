"""What the review database leaves to workers: replays go on when there is room."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from celery import signals
from django.db import connection

from portal.reviews.services.replays import continue_replays

logger = logging.getLogger(__name__)

EVERY_S: Final = 10.0


@signals.worker_ready.connect
def begin(sender: Any, **kwargs: Any) -> None:
    """From inside each worker, so that one alone needs no beat; two at once start each run once."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(EVERY_S):
            try:
                continue_replays()
            except Exception:
                logger.exception("Replays go on after an error")
            finally:
                connection.close()

    threading.Thread(target=repeat, name="continue-replays", daemon=True).start()

    @signals.worker_shutting_down.connect(weak=False)
    def end(**kwargs: Any) -> None:
        over.set()
