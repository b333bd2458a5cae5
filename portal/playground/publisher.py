"""Write the streams of a worker's running generations to Redis, all of them in one pipelined write.

What every write costs the web process and the server grows with the streams, and is taken from the cores that compute
where they are the same: of 64 tokens, eight at once, 40 ms of processor time beside the engine's with a write every
50 ms, and 33 every 100. So the more streams there are, the longer one write begins after the other, for
as long as nobody sees it; a stream's first token and its end are written at once.

A worker keeps what it has written of each running generation. When the connection breaks, the server may have lost
acknowledged entries (it syncs its file once a second), so after every reconnection each stream is completed from the
server's last entry on. Engines never wait for Redis: they append here, one thread writes. What comes can be encoded: an
event that cannot is its own run's failure, where it was made, and nothing that this thread meets. Tokens that wait for
the same write go as one event.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis
from django.conf import settings

from portal.playground.joined_delta import JoinedDelta
from portal.playground.stream import FIELD, StreamId, stream_key
from portal.playground.stream_connections import Command, WritingConnection

logger = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 2.0
# How long a finished generation's events are kept for a server that is away; the row has the answer anyway.
GIVE_UP_S: Final = 60.0
PAUSE_PER_STREAM_S: Final = 0.01
LONGEST_PAUSE_S: Final = 0.08
# That it has started, and its first token.
FIRST_EVENTS: Final = 2


@dataclass(slots=True)
class _Outbox:
    """One generation's events under one attempt, and how many of them the server has."""

    key: str
    attempt: int
    events: list[bytes | JoinedDelta] = field(default_factory=list)
    # The events before it have been encoded for a write; they stay as they are whatever came of that.
    encoded: int = 0
    written: int = 0
    closed_at: float | None = None

    @property
    def is_done(self) -> bool:
        if self.closed_at is None:
            return False
        return self.written >= len(self.events) or time.monotonic() - self.closed_at > GIVE_UP_S

    @property
    def has_news(self) -> bool:
        return self.written < len(self.events)

    @property
    def is_urgent(self) -> bool:
        """Whether somebody would see that it comes later."""
        return self.has_news and (self.written < FIRST_EVENTS or self.closed_at is not None)

    def add(self, event: bytes | JoinedDelta) -> None:
        if isinstance(event, JoinedDelta) and len(self.events) > self.encoded:
            last = self.events[-1]
            if isinstance(last, JoinedDelta) and last.join(event):
                return
        self.events.append(event)

    def take_unwritten(self) -> list[bytes]:
        """The events that are to be written next. What comes later joins none of them."""
        for index in range(self.encoded, len(self.events)):
            event = self.events[index]
            if isinstance(event, JoinedDelta):
                self.events[index] = event.encode()
        self.encoded = len(self.events)
        return cast("list[bytes]", self.events[self.written :])


@dataclass(frozen=True, slots=True)
class _Write:
    """The events of an outbox from `first` on, on their way."""

    box: _Outbox
    first: int
    events: list[bytes]
    expires: bool

    def commands(self) -> list[Command]:
        commands: list[Command] = []
        for index, event in enumerate(self.events, start=self.first):
            entry_id = str(StreamId(self.box.attempt, index + 1))
            # Only a first entry may create the stream: one behind it must not hide that the rest was lost.
            only_if_there = ("NOMKSTREAM",) if index > 0 else ()
            commands.append(("XADD", self.box.key, *only_if_there, entry_id, FIELD, event))
        if self.expires:
            retention_s = int(settings.STREAM_RETENTION_S + settings.GENERATION_DEADLINE_S)
            commands.append(("EXPIRE", self.box.key, retention_s))
        return commands

    def settle(self, replies: Iterator[Any]) -> None:
        """Take this write's replies and note what the server has. Raises RedisError for one that says neither."""
        own = [next(replies) for _ in self.events]
        if self.expires:
            next(replies)
        for reply in own:
            # An id that is not above the last one was written before, or a later attempt has begun and this one is
            # fenced off: either way it is settled.
            if isinstance(reply, Exception) and "equal or smaller" not in str(reply):
                raise reply
        # None: the stream has gone, so it is written again from its first entry.
        self.box.written = 0 if None in own else self.first + len(self.events)


class StreamPublisher:
    """A worker's single writer of streams. All methods return at once and may be called from any thread."""

    def __init__(self) -> None:
        self._outboxes: dict[tuple[uuid.UUID, int], _Outbox] = {}
        lock = threading.RLock()
        self._wake = threading.Condition(lock)
        # What comes while the thread pauses need not wake it.
        self._hurry = threading.Condition(lock)
        self._next_write_at = 0.0
        self._stopping = False
        self._connection: WritingConnection | None = None
        self._thread = threading.Thread(target=self._run, name="stream-publisher", daemon=True)
        self._thread.start()

    def open(self, generation_id: uuid.UUID, attempt: int) -> None:
        """Begin the stream of a claim."""
        with self._wake:
            self._outboxes[generation_id, attempt] = _Outbox(stream_key(generation_id), attempt)

    def append(self, generation_id: uuid.UUID, attempt: int, *events: bytes | JoinedDelta) -> None:
        """Add events, encoded or tokens, to a claim's stream; ignored after `close`."""
        self.append_all([(generation_id, attempt, event) for event in events])

    def append_all(self, batch: Sequence[tuple[uuid.UUID, int, bytes | JoinedDelta]]) -> None:
        """Add what one decode step produced for all its generations, to be written together."""
        with self._wake:
            for generation_id, attempt, event in batch:
                outbox = self._outboxes.get((generation_id, attempt))
                if outbox is not None and outbox.closed_at is None:
                    outbox.add(event)
                    if outbox.is_urgent:
                        self._hurry.notify()
            self._wake.notify()

    def close(self, generation_id: uuid.UUID, attempt: int) -> None:
        """Nothing more comes; what is not written yet still will be."""
        with self._wake:
            outbox = self._outboxes.get((generation_id, attempt))
            if outbox is not None:
                outbox.closed_at = time.monotonic()
            self._wake.notify()
            self._hurry.notify()

    def stop(self, timeout_s: float) -> None:
        """Write what is pending, for at most `timeout_s`, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
            self._hurry.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._has_work())
                if self._stopping and not self._has_work():
                    break
                pause_s = self._next_write_at - time.monotonic()
                self._hurry.wait_for(lambda: self._stopping or self._is_urgent(), timeout=max(0.0, pause_s))
            try:
                self._write_pending()
                retry_s = FIRST_RETRY_S
            except redis.RedisError as error:
                logger.warning("Streams wait %.1f s for Redis: %s", retry_s, error)
                self._disconnect()
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
            except Exception:
                logger.exception("The stream publisher goes on after an error")
                self._disconnect()
                time.sleep(retry_s)
            self._drop_done()
        self._disconnect()

    def _has_work(self) -> bool:
        return any(box.has_news or box.is_done for box in self._outboxes.values())

    def _is_urgent(self) -> bool:
        return any(box.is_urgent for box in self._outboxes.values())

    def _drop_done(self) -> None:
        with self._wake:
            for name in [name for name, box in self._outboxes.items() if box.is_done]:
                del self._outboxes[name]

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write_pending(self) -> None:
        with self._wake:
            boxes = list(self._outboxes.values())
        self._next_write_at = time.monotonic() + min(LONGEST_PAUSE_S, PAUSE_PER_STREAM_S * len(boxes))
        if self._connection is None:
            self._connection = WritingConnection()
            self._look_up_written(boxes)
        with self._wake:
            writes = [
                _Write(box, box.written, box.take_unwritten(), expires=box.written == 0 or box.closed_at is not None)
                for box in boxes
                if box.has_news
            ]
        if not writes:
            return
        replies = iter(self._connection.execute([command for write in writes for command in write.commands()]))
        for write in writes:
            write.settle(replies)

    def _look_up_written(self, boxes: list[_Outbox]) -> None:
        """After a reconnection, go on behind each stream's last entry."""
        assert self._connection is not None
        replies = self._connection.execute([("XREVRANGE", box.key, "+", "-", "COUNT", 1) for box in boxes])
        for box, entries in zip(boxes, replies, strict=True):
            last = StreamId.parse(entries[0][0].decode()) if entries else None
            box.written = last.seq if last is not None and last.attempt == box.attempt else 0
