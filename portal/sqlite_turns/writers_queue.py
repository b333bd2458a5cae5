"""The threads of a process that want to write: one after the other, in the order of their coming."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

# Longer than this nobody waits at one go, nor counts for it: a process that was frozen has not waited meanwhile.
_ONE_WAIT_S: Final = 0.5


class Patience:
    """How much longer somebody waits. Each wait takes from it, however long the process was frozen meanwhile."""

    def __init__(self, seconds: float) -> None:
        self.left_s = seconds

    def spend(self, waited_s: float) -> None:
        """Take a wait from it."""
        self.left_s -= min(waited_s, _ONE_WAIT_S)


class WritersQueue:
    """Lets one thread of this process write, in the order of their coming: a lock lets in who happens to run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()
        # Turns whose connections were collected, which may happen to a thread that has the lock.
        self._abandoned: deque[None] = deque()

    def take(self, patience: Patience) -> bool:
        """Wait for the turn; False when patience ends before."""
        called = threading.Lock()
        called.acquire()
        with self._lock:
            self._hand_over_abandoned()
            if not self._is_taken:
                self._is_taken = True
                return True
            self._waiting.append(called)
        try:
            while patience.left_s > 0:
                if called.acquire(timeout=min(patience.left_s, _ONE_WAIT_S)):
                    return True
                patience.spend(_ONE_WAIT_S)
                with self._lock:
                    self._hand_over_abandoned()
        except BaseException:
            # A signal's.
            if not self._leave(called):
                self.give_back()
            raise
        return not self._leave(called)

    def _leave(self, called: threading.Lock) -> bool:
        """Wait no longer; False where the turn has come just now."""
        with self._lock:
            if called not in self._waiting:
                return False
            self._waiting.remove(called)
            return True

    def give_back(self) -> None:
        """Hand it to who has waited longest."""
        with self._lock:
            self._hand_over()

    def abandon(self) -> None:
        """As `give_back`, for a collector, which waits for no lock. Others notice in a moment."""
        self._abandoned.append(None)

    def _hand_over_abandoned(self) -> None:
        while self._abandoned:
            self._abandoned.popleft()
            self._hand_over()

    def _hand_over(self) -> None:
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._is_taken = False
