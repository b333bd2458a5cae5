"""Give running streams to the viewers of this web process over one shared connection.

One blocking read serves all streams that anybody watches here: a viewer costs a queue, not a connection.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError

from portal.playground.stream import FIELD, StreamEvent, StreamId, stream_key
from portal.playground.stream_connections import ReadingConnection

logger = logging.getLogger(__name__)

BLOCK_MS: Final = 1000
RETRY_S: Final = 0.5
WAKE_RETENTION_S: Final = 3600

Entry = tuple[StreamId, StreamEvent]


class Subscription:
    """One viewer's place in one stream.

    `lost` means that the stream cannot be trusted from here on: nothing more arrives, and the row tells the rest.
    """

    def __init__(self, after: StreamId) -> None:
        self.last = after
        self.lost = False
        self._arrived: list[Entry] = []
        self._waiting: asyncio.Future[None] | None = None

    def push(self, entries: Iterable[Entry]) -> None:
        """Take entries in stream order; those it has seen are dropped, a hole makes it lost."""
        for entry_id, event in entries:
            if entry_id <= self.last or self.lost:
                continue
            if not entry_id.follows(self.last):
                self.lost = True
                continue
            self.last = entry_id
            self._arrived.append((entry_id, event))
        if self._arrived:
            self._wake()

    async def next(self, timeout_s: float) -> list[Entry]:
        """What has arrived since the last call, waiting for at most `timeout_s`; empty when nothing did."""
        if not self._arrived:
            # Once per event and viewer: a bare future and one timer cost a third of asyncio.timeout around an Event.
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(timeout_s, self._wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        arrived, self._arrived = self._arrived, []
        return arrived

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class StreamFanout:
    """The shared reader of one event loop."""

    def __init__(self) -> None:
        self._reading = ReadingConnection()
        self._waking = ReadingConnection()
        self._wake_key = f"steelyard:wake:{uuid.uuid4()}"
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._positions: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._interrupting: asyncio.Task[None] | None = None
        self._is_anybody_left_out = False

    def subscribe(self, generation_id: uuid.UUID, after: StreamId) -> Subscription:
        """Follow a generation's stream behind `after`. Pair with `unsubscribe`."""
        key = stream_key(generation_id)
        subscription = Subscription(after)
        self._subscriptions.setdefault(key, set()).add(subscription)
        # The shared read begins at the earliest place that anybody still needs; later viewers drop what they have.
        if key not in self._positions or StreamId.parse(self._positions[key]) > after:
            self._positions[key] = str(after)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_on(), name="stream-fanout")
        else:
            self._interrupt_soon()
        return subscription

    def unsubscribe(self, generation_id: uuid.UUID, subscription: Subscription) -> None:
        key = stream_key(generation_id)
        followers = self._subscriptions.get(key, set())
        followers.discard(subscription)
        if not followers:
            self._subscriptions.pop(key, None)
            self._positions.pop(key, None)

    @property
    def has_viewers(self) -> bool:
        return bool(self._subscriptions)

    def _interrupt_soon(self) -> None:
        """Have the read begin anew, with who has joined meanwhile; of many who join at once not for each."""
        self._is_anybody_left_out = True
        if self._interrupting is None or self._interrupting.done():
            self._interrupting = asyncio.create_task(self._interrupt_read(), name="stream-fanout-interrupt")

    async def _interrupt_read(self) -> None:
        while self._is_anybody_left_out:
            self._is_anybody_left_out = False
            await self._send_wake()

    async def _send_wake(self) -> None:
        try:
            await self._waking.execute(
                ("XADD", self._wake_key, "MAXLEN", 1, "*", FIELD, b""), ("EXPIRE", self._wake_key, WAKE_RETENTION_S)
            )
        except (RedisError, OSError) as error:
            logger.warning("A new viewer's stream begins late: %s", error)

    async def _read_on(self) -> None:
        while self._positions:
            await self._read_while_watched()
            if self._interrupting is not None:
                await asyncio.wait({self._interrupting})
            # Who joins from here on has connections that nobody closes.
            left = self._reading, self._waking
            self._reading, self._waking = ReadingConnection(), ReadingConnection()
            for connection in left:
                await connection.close()

    async def _read_while_watched(self) -> None:
        wake_after = "0"
        while self._positions:
            asked = {self._wake_key: wake_after, **self._positions}
            try:
                entries_by_key = await self._reading.read(asked, block_ms=BLOCK_MS)
            except (RedisError, OSError) as error:
                # Viewers fall back to the row meanwhile.
                logger.warning("Token streams wait for Redis: %s", error)
                await asyncio.sleep(RETRY_S)
                continue
            for raw_key, raw_entries in entries_by_key:
                key = raw_key.decode()
                if key == self._wake_key:
                    wake_after = raw_entries[-1][0].decode()
                    continue
                try:
                    self._deliver(key, asked[key], raw_entries)
                except (ValueError, KeyError):
                    # A newer worker's event, say. It must not cost the other streams their viewers.
                    logger.exception("The stream %s cannot be read; its viewers get the row's answer", key)
                    self._lose(key)

    def _deliver(self, key: str, asked_after: str, raw_entries: list[Any]) -> None:
        # A viewer who joined during the read may have moved the position back: then this reply is not its next part.
        if self._positions.get(key) == asked_after:
            self._positions[key] = raw_entries[-1][0].decode()
        entries = [_read_entry(raw_id, fields) for raw_id, fields in raw_entries]
        begun_after = StreamId.parse(asked_after)
        for subscription in self._subscriptions.get(key, ()):
            if begun_after <= subscription.last:
                subscription.push(entries)

    def _lose(self, key: str) -> None:
        for subscription in self._subscriptions.get(key, ()):
            subscription.lost = True
        self._positions.pop(key, None)


def _read_entry(raw_id: bytes, fields: list[bytes]) -> Entry:
    entry_id = StreamId.parse(raw_id.decode())
    name, payload = fields
    if name != FIELD:
        raise ValueError(f"An event's field is not {name!r}.")
    return entry_id, StreamEvent.decode(payload).written_once(entry_id)


_fanouts: WeakKeyDictionary[asyncio.AbstractEventLoop, StreamFanout] = WeakKeyDictionary()


def stream_fanout() -> StreamFanout:
    """The running event loop's shared reader."""
    loop = asyncio.get_running_loop()
    fanout = _fanouts.get(loop)
    if fanout is None:
        fanout = _fanouts[loop] = StreamFanout()
    return fanout


def is_anybody_watching() -> bool:
    """Whether a run is followed in this event loop at this moment."""
    fanout = _fanouts.get(asyncio.get_running_loop())
    return fanout is not None and fanout.has_viewers
