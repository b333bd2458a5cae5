"""The wire format of the token stream, and the order that ids give it."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.events import Alternative, Delta, Token
from portal.playground.active_run import storable
from portal.playground.fanout import Subscription
from portal.playground.stream import BEGINNING, EventType, StreamEvent, StreamId

ids = st.builds(StreamId, st.integers(0, 10**17), st.integers(0, 10**17))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.text(min_size=1).filter(lambda name: name != "type")
events = st.builds(StreamEvent, st.sampled_from(EventType), st.dictionaries(names, json_values, max_size=4))


def parsed_sse(block: bytes) -> dict[str, str]:
    """The fields of one event, read as the HTML standard says: lines end at CR LF, LF or CR."""
    text = block.decode().replace("\r\n", "\n").replace("\r", "\n")
    assert text.endswith("\n\n")
    assert "\n\n" not in text[:-2]
    return {
        name: value.removeprefix(" ") for name, _, value in (line.partition(":") for line in text.split("\n") if line)
    }


@given(event=events)
def test_an_event_survives_the_stream(event: StreamEvent) -> None:
    assert StreamEvent.decode(event.encode()) == event


@given(event=events, event_id=st.none() | ids)
def test_an_event_is_one_server_sent_event_whatever_its_text(event: StreamEvent, event_id: StreamId | None) -> None:
    fields = parsed_sse(event.as_sse(event_id))
    assert fields["event"] == event.type
    assert json.loads(fields["data"]) == event.data
    assert fields.get("id") == (str(event_id) if event_id is not None else None)


@given(event_id=ids)
def test_an_id_survives_the_wire(event_id: StreamId) -> None:
    assert StreamId.parse(str(event_id)) == event_id


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-1-2", "1-2-3", "a-b", "1-2\n", "\uff19-\uff11", f"{10**18}-1", "1 -2"]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Last-Event-ID"):
        StreamId.parse(text)


def test_what_no_database_can_store_is_replaced_before_anybody_sees_it() -> None:
    token = Token(0, "a\x00", -0.1, top=(Alternative(0, "\ud800b", -0.1),))
    event = storable(Delta("\x00a\udfff\u00e9", tokens=(token,)))
    assert isinstance(event, Delta)
    assert event.text == "\ufffda\ufffd\u00e9"
    assert (event.tokens[0].text, event.tokens[0].top[0].text) == ("a\ufffd", "\ufffdb")


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_everything_else_is_kept(text: str) -> None:
    event = Delta(text, tokens=(Token(1, text, -0.5),))
    assert storable(event) == event


@st.composite
def streams(draw: st.DrawFn) -> list[StreamId]:
    """All ids of a stream whose run may have begun anew a few times."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    return [StreamId(attempt, seq) for attempt, length in enumerate(lengths, 1) for seq in range(1, length + 1)]


@given(
    whole=streams(),
    joined=st.floats(0, 1),
    reads=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=8),
)
def test_a_viewer_gets_each_event_once_and_in_order_however_the_reads_overlap(
    whole: list[StreamId], joined: float, reads: list[tuple[float, float]]
) -> None:
    seen = reached = int(joined * len(whole))
    subscription = Subscription(whole[seen - 1] if seen else BEGINNING)
    got: list[StreamId] = []
    for back, forth in [*reads, (0.0, 1.0)]:
        # A read begins no later than where the last one ended, and may go over old ground.
        begin, end = int(back * reached), reached + round(forth * (len(whole) - reached))
        subscription.push((each, StreamEvent(EventType.DELTA, {})) for each in whole[begin:end])
        got += [entry_id for entry_id, _ in subscription._arrived]
        subscription._arrived.clear()
        reached = max(reached, end)
    assert got == whole[seen:]
    assert not subscription.lost


@given(data=st.data(), whole=streams())
def test_a_hole_in_the_stream_is_never_passed_over(data: st.DataObject, whole: list[StreamId]) -> None:
    missing = data.draw(st.sampled_from(whole))
    rest = [each for each in whole if each != missing]
    subscription = Subscription(BEGINNING)
    subscription.push((each, StreamEvent(EventType.DELTA, {})) for each in rest)
    got = [entry_id for entry_id, _ in subscription._arrived]
    assert all(later.follows(earlier) for earlier, later in pairwise([BEGINNING, *got]))
    is_last_of_attempt = StreamId(missing.attempt, missing.seq + 1) not in whole
    # Only the end of an attempt can be missing unseen: the next attempt begins anew anyway.
    assert subscription.lost or is_last_of_attempt


@given(event=events, event_id=ids)
def test_an_event_that_is_written_once_is_written_alike(event: StreamEvent, event_id: StreamId) -> None:
    written = event.written_once(event_id)
    assert written == event
    assert written.as_sse(event_id) == event.as_sse(event_id)
    assert written.as_sse() == event.as_sse()


def test_a_viewer_waits_until_something_comes_and_no_longer_than_it_wants() -> None:
    first = (StreamId(1, 1), StreamEvent(EventType.DELTA, {"text": "a"}))
    second = (StreamId(1, 2), StreamEvent(EventType.DELTA, {"text": "b"}))

    async def scenario() -> None:
        subscription = Subscription(BEGINNING)
        assert await subscription.next(0.01) == []
        waiting = asyncio.create_task(subscription.next(60))
        await asyncio.sleep(0)
        subscription.push([first])
        assert await waiting == [first]
        subscription.push([second])
        assert await subscription.next(60) == [second]
        assert await subscription.next(0.01) == []

    asyncio.run(scenario())
