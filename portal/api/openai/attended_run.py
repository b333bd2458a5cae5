"""A run that lasts as long as its client waits for it: who goes away, queued or in mid-answer, stops it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.db import DatabaseError, connection

from portal.playground.models import Generation
from portal.playground.services import cancel_generation

logger = logging.getLogger(__name__)

# Not the request's own thread: that may have ended with the request.
_stopper: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stop-runs")


class AttendedRun:
    """Ties a run to its client. `leave` may be called from any thread, at any time, and more than once."""

    def __init__(self) -> None:
        self._generation: Generation | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def begin(self, generation: Generation) -> None:
        """The run has been queued; its client may have left meanwhile."""
        with self._lock:
            self._generation = generation
            has_left = self._is_over
        if has_left:
            _stop(generation)

    def ended(self) -> None:
        """The run ended by itself: there is nothing to stop any more."""
        with self._lock:
            self._is_over = True

    def leave(self) -> None:
        """The client has gone, or its answer was sent. Returns at once."""
        with self._lock:
            is_first = not self._is_over
            self._is_over = True
            generation = self._generation
        if is_first and generation is not None:
            _stopper.submit(_stop_and_close, generation)


def _stop_and_close(generation: Generation) -> None:
    try:
        _stop(generation)
    except DatabaseError:
        logger.exception("Generation %s goes on although its client has left", generation.pk)
    finally:
        connection.close()


def _stop(generation: Generation) -> None:
    if cancel_generation(generation):
        logger.info("Generation %s was stopped: its client has left", generation.pk)
