"""A listener for tests: keeps every event in order and lets a test wait for what it needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from inference.events import TERMINAL_EVENTS, Channel, Delta, Emission, Event, Token

PATIENCE_S = 60.0


class Recorder:
    """Collects emissions per request and per step; `wait_*` raise AssertionError after `PATIENCE_S`."""

    def __init__(self) -> None:
        self.steps: list[tuple[Emission, ...]] = []
        self._changed = threading.Condition(threading.RLock())

    def __call__(self, emissions: Sequence[Emission]) -> None:
        with self._changed:
            self.steps.append(tuple(emissions))
            self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Takes in nothing before the block's end, so that what is submitted in it is under way together."""
        with self._changed:
            yield

    def events(self, request_id: str) -> list[Event]:
        with self._changed:
            return [each.event for step in self.steps for each in step if each.request_id == request_id]

    def deltas(self, request_id: str) -> list[Delta]:
        return [event for event in self.events(request_id) if isinstance(event, Delta)]

    def text(self, request_id: str, channel: Channel = Channel.ANSWER) -> str:
        return "".join(delta.text for delta in self.deltas(request_id) if delta.channel == channel)

    def tokens(self, request_id: str) -> list[Token]:
        return [token for delta in self.deltas(request_id) for token in delta.tokens]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        with self._changed:
            while not condition():
                left = give_up_at - time.monotonic()
                assert left > 0, f"waited {PATIENCE_S} s for {what}"
                self._changed.wait(min(left, 0.5))

    def wait_for_end(self, *request_ids: str) -> Event:
        """Wait until each request has ended; return the last one's terminal event."""
        for request_id in request_ids:
            self.wait_until(lambda wanted=request_id: self.has_ended(wanted), f"the end of {request_id}")  # type: ignore[misc]
        return self.events(request_ids[-1])[-1]

    def wait_for_deltas(self, request_id: str, count: int) -> None:
        self.wait_until(lambda: len(self.deltas(request_id)) >= count, f"{count} deltas of {request_id}")

    def has_ended(self, request_id: str) -> bool:
        return any(isinstance(event, TERMINAL_EVENTS) for event in self.events(request_id))
