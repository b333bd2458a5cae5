"""How far a download is, for the page that it was begun on, and the wish to stop it: in the cache, for a while."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from django.core.cache import cache

from portal.accounts.models import User

KEPT_S: Final = 3_600
TELL_EVERY_S: Final = 0.5
# The first rows say little of the pace.
PACE_AFTER_S: Final = 2.0


class DownloadStopped(Exception):
    """Whoever began it wants it no more; the file breaks off, so that nobody takes it for whole."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows and bytes so far, before compression; `expected` rows, None where nobody counted."""

    rows: int = 0
    bytes: int = 0
    expected: int | None = None
    is_over: bool = False
    is_stopped: bool = False
    took_s: float = 0.0

    @property
    def left_s(self) -> int | None:
        """How many seconds it goes on at the pace so far; None where nobody can tell yet."""
        if self.expected is None or not self.rows or self.took_s < PACE_AFTER_S:
            return None
        return math.ceil(self.took_s * max(0, self.expected - self.rows) / self.rows)


class Download:
    """One download of one person, under a key that their page chose."""

    def __init__(self, user: User, key: uuid.UUID) -> None:
        self._name = f"exports:download:{user.pk}:{key.hex}"

    def progress(self) -> Progress | None:
        """None for one that has not begun, or ended long ago."""
        told = cache.get(self._name)
        return Progress(**told) if told is not None else None

    def stop(self) -> None:
        """It ends at its next piece."""
        cache.set(f"{self._name}:stop", 1, KEPT_S)

    def followed(self, pieces: Iterator[tuple[bytes, int]], expected: int | None) -> Iterator[tuple[bytes, int]]:
        """The pieces, while it is told how far they are. Raises DownloadStopped when it is not wanted any more."""
        rows = size = 0
        told_at = 0.0
        began = time.monotonic()
        is_over = is_stopped = False
        cache.delete(f"{self._name}:stop")
        try:
            for piece, count in pieces:
                if time.monotonic() - told_at >= TELL_EVERY_S:
                    told_at = time.monotonic()
                    self._tell(Progress(rows, size, expected, took_s=told_at - began))
                    is_stopped = cache.get(f"{self._name}:stop") is not None
                if is_stopped:
                    raise DownloadStopped
                yield piece, count
                rows, size = rows + count, size + len(piece)
            is_over = True
        finally:
            # A client that goes away closes the pieces too.
            self._tell(Progress(rows, size, expected, is_over=is_over, is_stopped=not is_over))

    def _tell(self, progress: Progress) -> None:
        cache.set(self._name, asdict(progress), KEPT_S)
