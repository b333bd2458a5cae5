"""A person who watches a generation: applies its events as a browser does and remembers what was on the screen."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from portal.playground.following import follow
from portal.playground.models import Generation
from portal.playground.stream import BEGINNING, TERMINAL_TYPES, EventType, StreamEvent, StreamId


@dataclass
class Screen:
    """What somebody sees who applies the events in order."""

    text: str = ""
    resets: int = 0
    terminals: list[StreamEvent] = field(default_factory=list)

    def apply(self, event: StreamEvent) -> None:
        assert not self.terminals, f"{event.type} after the end"
        match event.type:
            case EventType.RESET:
                self.text = ""
                self.resets += 1
            case EventType.DELTA:
                self.text += event.data["text"]
            case _ if event.type in TERMINAL_TYPES:
                self.terminals.append(event)


class Viewer(threading.Thread):
    """Follows one generation on an event loop of its own, from `after` on, until it ends."""

    def __init__(self, generation: Generation, after: StreamId = BEGINNING, screen: Screen | None = None) -> None:
        super().__init__(daemon=True)
        self._generation = Generation.objects.select_related("variant__card").get(pk=generation.pk)
        self._after = after
        self.screen = screen or Screen()
        self.events: list[tuple[StreamId | None, StreamEvent]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._watch())
        except BaseException as error:
            self.error = error
            raise

    async def _watch(self) -> None:
        async for news in follow(self._generation, self._after):
            for event_id, event in news:
                self.events.append((event_id, event))
                self.screen.apply(event)

    def wait_for(self, condition: Callable[[Screen], bool], timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition(self.screen):
            assert time.monotonic() < deadline, f"still {self.screen} after {timeout_s} s"
            time.sleep(0.01)

    def wait_for_end(self, timeout_s: float = 60) -> Screen:
        self.join(timeout_s)
        assert self.error is None, self.error
        assert not self.is_alive(), f"still {self.screen} after {timeout_s} s"
        return self.screen
