"""The publisher lets a step's tokens wait for those of the next ones, where nobody would see that."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from inference.events import Channel, Delta, Token
from portal.playground import publisher
from portal.playground.joined_delta import JoinedDelta
from portal.playground.publisher import StreamPublisher
from portal.playground.stream import FIELD, stream_key
from tests.services.installation import eventually
from tests.services.valkey import Valkey

pytestmark = pytest.mark.processes
ATTEMPT = 1


@pytest.fixture
def stream_publisher(valkey: Valkey, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamPublisher]:
    """One that would pause for minutes."""
    settings.REDIS_URL = valkey.url
    monkeypatch.setattr(publisher, "PAUSE_PER_STREAM_S", 600.0)
    monkeypatch.setattr(publisher, "LONGEST_PAUSE_S", 600.0)
    made = StreamPublisher()
    yield made
    made.stop(60)


def _written(valkey: Valkey, generation: uuid.UUID) -> list[bytes]:
    with redis.Redis.from_url(valkey.url) as client:
        return [fields[FIELD] for _id, fields in client.xrange(stream_key(generation))]


def _eventually_written(valkey: Valkey, generation: uuid.UUID, *events: bytes) -> None:
    eventually(lambda: _written(valkey, generation) == list(events), 60, f"{len(events)} events are written")


def test_a_first_token_and_an_end_are_written_at_once_and_what_is_between_them_together(
    stream_publisher: StreamPublisher, valkey: Valkey
) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    stream_publisher.open(first, ATTEMPT)
    for number, event in enumerate((b"started", b"a"), start=1):
        stream_publisher.append(first, ATTEMPT, event)
        _eventually_written(valkey, first, *(b"started", b"a")[:number])
    for event in (b"b", b"c"):
        stream_publisher.append(first, ATTEMPT, event)
    time.sleep(0.2)
    assert _written(valkey, first) == [b"started", b"a"]

    # Who comes anew waits for nobody, and takes along what has waited.
    stream_publisher.open(second, ATTEMPT)
    stream_publisher.append(second, ATTEMPT, b"started")
    _eventually_written(valkey, second, b"started")
    _eventually_written(valkey, first, b"started", b"a", b"b", b"c")

    stream_publisher.append(first, ATTEMPT, b"d", b"finished")
    stream_publisher.close(first, ATTEMPT)
    _eventually_written(valkey, first, b"started", b"a", b"b", b"c", b"d", b"finished")


def _said(text: str) -> JoinedDelta:
    return JoinedDelta.of(Delta(text, Channel.ANSWER, (Token(1, text, -0.5),)))


def _texts(valkey: Valkey, generation: uuid.UUID) -> list[str]:
    return [json.loads(event).get("text", "") for event in _written(valkey, generation)]


def _begin(stream_publisher: StreamPublisher, valkey: Valkey, generation: uuid.UUID) -> None:
    """Up to its first token, behind which tokens wait."""
    stream_publisher.open(generation, ATTEMPT)
    stream_publisher.append(generation, ATTEMPT, b"{}", _said("a"))
    eventually(lambda: _texts(valkey, generation) == ["", "a"], 60, "the first token is written")


def test_tokens_that_wait_for_the_same_write_are_one_event_and_join_none_that_was_written(
    stream_publisher: StreamPublisher, valkey: Valkey
) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    _begin(stream_publisher, valkey, first)
    for text in "bcd":
        stream_publisher.append(first, ATTEMPT, _said(text))
    stream_publisher.open(second, ATTEMPT)
    stream_publisher.append(second, ATTEMPT, b"{}")
    eventually(lambda: _texts(valkey, first) == ["", "a", "bcd"], 60, "what waited is written")

    stream_publisher.append(first, ATTEMPT, _said("e"), _said("f"), b"{}", _said("g"))
    stream_publisher.close(first, ATTEMPT)
    eventually(lambda: _texts(valkey, first) == ["", "a", "bcd", "ef", "", "g"], 60, "the end is written")


def test_a_stream_that_the_server_lost_is_written_again_event_by_event_as_it_was(
    stream_publisher: StreamPublisher, valkey: Valkey
) -> None:
    generation, other = uuid.uuid4(), uuid.uuid4()
    _begin(stream_publisher, valkey, generation)
    stream_publisher.append(generation, ATTEMPT, _said("b"), _said("c"))
    stream_publisher.open(other, ATTEMPT)
    stream_publisher.append(other, ATTEMPT, b"{}")
    eventually(lambda: _texts(valkey, generation) == ["", "a", "bc"], 60, "what waited is written")

    with redis.Redis.from_url(valkey.url) as client:
        client.delete(stream_key(generation))
    stream_publisher.append(generation, ATTEMPT, _said("d"))
    stream_publisher.close(generation, ATTEMPT)
    eventually(lambda: _texts(valkey, generation) == ["", "a", "bc", "d"], 60, "all of it is written again")


def test_streams_that_are_written_together_reach_a_blocked_reader_together(
    stream_publisher: StreamPublisher, valkey: Valkey
) -> None:
    generations = [uuid.uuid4() for _ in range(4)]
    for generation in generations:
        _begin(stream_publisher, valkey, generation)
    stream_publisher.append_all([(each, ATTEMPT, _said("b")) for each in generations])
    with ThreadPoolExecutor(1) as pool, redis.Redis.from_url(valkey.url, protocol=2) as client:
        after = {stream_key(each): f"{ATTEMPT}-2" for each in generations}
        reading = pool.submit(client.xread, after, block=60_000)
        eventually(lambda: _is_blocked(client), 60, "a reader waits")
        stream_publisher.stop(60)
        assert len(reading.result()) == len(generations)


def _is_blocked(client: redis.Redis) -> bool:
    return bool(client.info("clients")["blocked_clients"])


def test_what_waits_is_written_when_the_worker_stops(stream_publisher: StreamPublisher, valkey: Valkey) -> None:
    generation = uuid.uuid4()
    stream_publisher.open(generation, ATTEMPT)
    stream_publisher.append(generation, ATTEMPT, b"started", b"a")
    _eventually_written(valkey, generation, b"started", b"a")
    stream_publisher.append(generation, ATTEMPT, b"b")
    stream_publisher.stop(60)
    assert _written(valkey, generation) == [b"started", b"a", b"b"]
