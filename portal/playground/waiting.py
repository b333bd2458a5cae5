"""How a request says that it has nothing left to do but to wait for a model's answer."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar


def _nothing() -> None:
    """What happens where nobody counts requests."""


_on_waiting: ContextVar[Callable[[], None]] = ContextVar("on_waiting", default=_nothing)


def when_waiting_begins(call: Callable[[], None]) -> None:
    """Have this called when the current request begins to wait. Whoever serves the request says so, before its view."""
    _on_waiting.set(call)


def waiting_begins() -> None:
    """From here on the current request waits; on the event loop alone, and as often as one likes."""
    _on_waiting.get()()
