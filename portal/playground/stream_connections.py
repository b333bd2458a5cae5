"""The connections that token streams go through: one that a worker writes to, one that a web process reads from.

Each is kept and talks to the server directly. A client's command lends a connection, measures, guards its time and
gives it back, which takes longer than to send it and to read the answer: of a read of nine streams 160 µs of processor
time became 70, of a write to nine 170 became 100, and where the cores compute tokens both take three times as long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

# Replies come in the form of this version, whatever the address asks for in its own query.
PROTOCOL: Final = {"protocol": 2}
# Entries of one stream in one read.
MOST_ENTRIES: Final = 500

Command = tuple[Any, ...]
# Of each stream that has any, its key and its entries: their ids, and their fields and values in turn.
Entries = list[tuple[bytes, list[tuple[bytes, list[bytes]]]]]


class WritingConnection:
    """One connection that never reconnects, since a silent reconnection would hide lost entries.

    After any error it is to be closed, and another one made.
    """

    def __init__(self) -> None:
        pool: Any = redis.ConnectionPool.from_url(
            settings.REDIS_URL,
            socket_timeout=settings.REDIS_SOCKET_TIMEOUT_S,
            socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        pool.connection_kwargs |= PROTOCOL
        self._connection = pool.make_connection()
        self._connection.connect()

    def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Run all commands at once for everybody who looks, and return their replies, errors among them.

        Raises RedisError when the server takes none of them, or when nothing is known of what it did.
        """
        if not self._connection.is_connected:
            raise redis.ConnectionError("The connection was lost.")
        # One after the other, the first would wake a reader of all these streams, which came back for the others.
        self._connection.send_packed_command(self._connection.pack_commands([("MULTI",), *commands, ("EXEC",)]))
        for _ in range(1 + len(commands)):
            self._connection.read_response()
        replies: list[Any] = self._connection.read_response()
        return replies

    def close(self) -> None:
        """Be done with it."""
        self._connection.disconnect()


class ReadingConnection:
    """One connection of an event loop that waits for entries of many streams; it connects anew after an error."""

    def __init__(self) -> None:
        pool: Any = redis.asyncio.ConnectionPool.from_url(
            settings.REDIS_URL,
            # A limit of its own would cost a task for each command.
            socket_timeout=None,
            socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT_S,
            retry=AsyncRetry(NoBackoff(), 0),
        )
        pool.connection_kwargs |= PROTOCOL
        self._connection = pool.make_connection()

    async def read(self, after: Mapping[str, str], *, block_ms: int) -> Entries:
        """The entries behind these ids, waiting for up to `block_ms` until there are any.

        Raises RedisError or OSError, with the time run out among these.
        """
        (reply,) = await self._execute(
            block_ms / 1000, ("XREAD", "COUNT", MOST_ENTRIES, "BLOCK", block_ms, "STREAMS", *after, *after.values())
        )
        return reply or []

    async def execute(self, *commands: Command) -> list[Any]:
        """The replies to commands that do not block. Raises RedisError or OSError."""
        return await self._execute(0, *commands)

    async def _execute(self, block_s: float, *commands: Command) -> list[Any]:
        try:
            async with asyncio.timeout(settings.REDIS_SOCKET_TIMEOUT_S + block_s):
                await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
                return [await self._connection.read_response() for _ in commands]
        except BaseException:
            # Whatever is still on its way would be taken for the next command's reply.
            await self._connection.disconnect(nowait=True)
            raise

    async def close(self) -> None:
        """Be done with it, whatever the server says."""
        with suppress(RedisError, OSError):
            await self._connection.disconnect()
