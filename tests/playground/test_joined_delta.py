"""Tokens that go out as one event say what they would have said as an event each."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.events import Alternative, Channel, Delta, Token
from portal.playground.joined_delta import MOST_CHARACTERS, MOST_TOKENS, JoinedDelta
from portal.playground.stream import EventType, StreamEvent, token_object

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
alternatives = st.builds(Alternative, st.integers(0, 2**31), texts, st.floats(-50, 0))
tokens = st.builds(Token, st.integers(-1, 2**31), texts, st.none() | st.floats(-50, 0), st.tuples(alternatives))
deltas = st.builds(Delta, texts, st.sampled_from(Channel), st.lists(tokens, max_size=MOST_TOKENS // 2).map(tuple))


def _events(said: list[Delta]) -> list[StreamEvent]:
    """As a writer makes them of what waits."""
    waiting: list[JoinedDelta] = []
    for delta in said:
        made = JoinedDelta.of(delta)
        if not waiting or not waiting[-1].join(made):
            waiting.append(made)
    return [StreamEvent.decode(each.encode()) for each in waiting]


@given(st.lists(deltas, max_size=12))
def test_joined_events_say_the_same_in_the_same_order(said: list[Delta]) -> None:
    events = _events(said)
    assert {event.type for event in events} <= {EventType.DELTA}
    for channel in Channel:
        own = [event.data for event in events if event.data["channel"] == channel]
        assert "".join(each["text"] for each in own) == "".join(each.text for each in said if each.channel == channel)
    told = [(event.data["channel"], token) for event in events for token in event.data["tokens"]]
    assert told == [(each.channel, token_object(token)) for each in said for token in each.tokens]


@given(st.lists(deltas, min_size=1, max_size=12))
def test_neighbours_that_stay_apart_have_another_channel_or_too_many_tokens(said: list[Delta]) -> None:
    events = _events(said)
    assert all(len(event.data["tokens"]) <= MOST_TOKENS for event in events)
    for event, later in pairwise(events):
        is_same_channel = event.data["channel"] == later.data["channel"]
        assert not is_same_channel or len(event.data["tokens"]) + MOST_TOKENS // 2 > MOST_TOKENS


def test_text_without_tokens_is_bounded_too() -> None:
    events = _events([Delta("four", Channel.ANSWER)] * 1_000)
    assert [len(event.data["text"]) for event in events] == [MOST_CHARACTERS] * 4


def test_a_token_reaches_the_wire_with_its_alternatives() -> None:
    token = Token(7, " yes", -0.1, top=(Alternative(7, " yes", -0.1), Alternative(9, " no", -2.5)))
    assert orjson.loads(JoinedDelta.of(Delta(" yes", Channel.THINKING, (token,))).encode()) == {
        "type": "delta",
        "text": " yes",
        "channel": "thinking",
        "tokens": [
            {
                "id": 7,
                "text": " yes",
                "logprob": -0.1,
                "top": [{"id": 7, "text": " yes", "logprob": -0.1}, {"id": 9, "text": " no", "logprob": -2.5}],
            }
        ],
    }


def test_a_number_of_more_than_64_bits_is_refused_when_it_comes() -> None:
    with pytest.raises(TypeError):
        JoinedDelta.of(Delta("a", Channel.ANSWER, (Token(2**70, "a", -0.5),)))
