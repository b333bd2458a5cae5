"""The publisher lets a step's tokens wait for those of the next ones, where nobody would see that."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from portal.playground import publisher
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


def test_what_waits_is_written_when_the_worker_stops(stream_publisher: StreamPublisher, valkey: Valkey) -> None:
    generation = uuid.uuid4()
    stream_publisher.open(generation, ATTEMPT)
    stream_publisher.append(generation, ATTEMPT, b"started", b"a")
    _eventually_written(valkey, generation, b"started", b"a")
    stream_publisher.append(generation, ATTEMPT, b"b")
    stream_publisher.stop(60)
    assert _written(valkey, generation) == [b"started", b"a", b"b"]
