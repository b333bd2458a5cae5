"""Whether the client of a request is still there: told to whoever works for it in a thread, which nobody can cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar


class ClientPresence:
    """One request's client. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_left = False
        self._calls: list[Callable[[], None]] = []

    def when_left(self, call: Callable[[], None]) -> None:
        """Have this called once the client leaves; at once, if it has."""
        with self._lock:
            has_left = self._has_left
            if not has_left:
                self._calls.append(call)
        if has_left:
            call()

    def leave(self) -> None:
        """The client has left before it had its whole answer."""
        with self._lock:
            self._has_left = True
            calls, self._calls = self._calls, []
        for call in calls:
            call()


_presence: ContextVar[ClientPresence | None] = ContextVar("client_presence", default=None)


def client_arrives() -> None:
    """Whoever serves the current request says so before its view, and `client_leaves` in the same context."""
    _presence.set(ClientPresence())


def client_leaves() -> None:
    """The current request's client has left."""
    presence = _presence.get()
    if presence is not None:
        presence.leave()


def when_client_leaves(call: Callable[[], None]) -> None:
    """Have this called, from any thread, when the current request's client leaves before it had its answer."""
    presence = _presence.get()
    if presence is not None:
        presence.when_left(call)
