"""Connections that token streams go through, on a real server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from portal.playground.stream_connections import ReadingConnection, WritingConnection
from tests.services.valkey import Valkey

pytestmark = pytest.mark.processes
WITHIN_MS = 60_000


@pytest.fixture(params=["", "protocol=2", "protocol=3"])
def address(request: pytest.FixtureRequest, valkey: Valkey, settings: Any) -> str:
    """The server's, with what an operator may write behind it."""
    joint = "&" if "?" in valkey.url else "?"
    settings.REDIS_URL = f"{valkey.url}{joint}{request.param}" if request.param else valkey.url
    return valkey.url


@pytest.fixture
def key() -> str:
    return f"stream-{uuid.uuid4()}"


def _reading(act: Callable[[ReadingConnection], Awaitable[Any]]) -> Any:
    async def with_connection() -> Any:
        connection = ReadingConnection()
        try:
            return await act(connection)
        finally:
            await connection.close()

    return asyncio.run(with_connection())


def test_what_is_written_is_read_whatever_protocol_the_address_asks_for(address: str, key: str) -> None:
    writing = WritingConnection()
    assert writing.execute([("XADD", key, "1-1", "e", b"a"), ("XADD", key, "1-2", "e", b"b")]) == [b"1-1", b"1-2"]
    writing.close()
    entries = _reading(lambda connection: connection.read({key: "1-1", f"{key}-other": "0"}, block_ms=WITHIN_MS))
    assert entries == [[key.encode(), [[b"1-2", [b"e", b"b"]]]]]


def test_nothing_new_is_an_empty_list(address: str, key: str) -> None:
    assert _reading(lambda connection: connection.read({key: "0"}, block_ms=1)) == []


def test_an_error_among_replies_stands_in_its_place(address: str, key: str) -> None:
    writing = WritingConnection()
    first, refused, missing = writing.execute(
        [
            ("XADD", key, "1-2", "e", b"b"),
            ("XADD", key, "1-1", "e", b"a"),
            ("XADD", f"{key}-other", "NOMKSTREAM", "1-2", "e", b"b"),
        ]
    )
    writing.close()
    assert first == b"1-2"
    assert isinstance(refused, redis.ResponseError)
    assert missing is None


def test_a_read_that_was_given_up_leaves_nothing_for_the_next_one(address: str, key: str) -> None:
    async def read_twice(connection: ReadingConnection) -> Any:
        first = asyncio.ensure_future(connection.read({key: "0"}, block_ms=WITHIN_MS))
        with redis.Redis.from_url(address) as client:
            while not client.info("clients")["blocked_clients"]:  # noqa: ASYNC110 - the server's state has no event
                await asyncio.sleep(0.01)
            first.cancel()
            await asyncio.wait({first})
            client.xadd(key, {"e": b"a"}, id="1-1")
            client.xadd(f"{key}-other", {"e": b"b"}, id="1-1")
        return await connection.read({f"{key}-other": "0"}, block_ms=WITHIN_MS)

    assert _reading(read_twice) == [[f"{key}-other".encode(), [[b"1-1", [b"e", b"b"]]]]]


def test_a_connection_that_was_closed_connects_anew(address: str, key: str) -> None:
    async def close_and_ask(connection: ReadingConnection) -> Any:
        await connection.execute(("SET", key, "a"))
        await connection.close()
        return await connection.execute(("GET", key), ("GET", f"{key}-other"))

    assert _reading(close_and_ask) == [b"a", None]


def test_a_writer_whose_connection_broke_says_so_and_does_not_connect_again(address: str, key: str) -> None:
    writing = WritingConnection()
    with redis.Redis.from_url(address) as client:
        client.client_kill_filter(_type="normal", skipme=True)
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                writing.execute([("SET", key, "a")])
        assert client.get(key) is None
