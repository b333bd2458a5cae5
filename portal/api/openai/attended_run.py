"""A run that lasts as long as its client waits for it: who goes away, queued or in mid-answer, stops it."""

from __future__ import annotations

import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.db import DatabaseError, connection

from portal.playground.models import Generation
from portal.playground.services import cancel_generation

logger = logging.getLogger(__name__)

# Not the request's own thread: that may have ended with the request.
_stopper: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stop-runs")


class AttendedRun:
    """Ties a client's runs to it, one for each choice. `leave` may come from any thread, at any time, repeatedly."""

    def __init__(self) -> None:
        self._under_way: dict[uuid.UUID, Generation] = {}
        self._has_left = False
        self._lock = threading.Lock()

    def begin(self, generation: Generation) -> None:
        """A run has been queued; its client may have left meanwhile."""
        with self._lock:
            has_left = self._has_left
            if not has_left:
                self._under_way[generation.pk] = generation
        if has_left:
            _stop(generation)

    def ended(self, generation: Generation) -> None:
        """The run ended by itself: there is nothing to stop any more."""
        with self._lock:
            self._under_way.pop(generation.pk, None)

    def leave(self) -> None:
        """The client has gone, or its answer was sent. Returns at once."""
        with self._lock:
            self._has_left = True
            left = list(self._under_way.values())
            self._under_way.clear()
        for generation in left:
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
