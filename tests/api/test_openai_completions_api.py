"""What `/v1/completions` takes, refuses and answers; what it shares with chats is tested there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient

from inference.events import Alternative, Channel, Delta, Token
from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.api.openai import choices
from portal.api.openai.completion_response import TokenOffsets
from portal.playground import dispatch, stream
from portal.playground.following import News
from portal.playground.joined_delta import JoinedDelta
from portal.playground.models import Conversation, Generation, Kind, TokenTrace
from tests.playground.turns import make_variant

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 1, "reasoning_tokens": 1}
PROMPT = "A steelyard is"
Ask = Callable[..., Any]


@pytest.fixture
def ask(transactional_db: None, alice: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Posts a completion as alice; the status and the body. Its run says “ a 🙂”, the emoji in two tokens."""
    make_variant()
    secret = create_token(alice, name="test", scopes=[Scope.SUBMIT], lifetime=None)[1]
    deltas = [
        Delta(
            " a", Channel.ANSWER, (Token(1, " a", -0.5, top=(Alternative(1, " a", -0.5), Alternative(2, "n", -1.5))),)
        ),
        Delta("", Channel.ANSWER, (Token(3, " \ufffd", -1.0),)),
        Delta(" 🙂", Channel.ANSWER, (Token(4, "\ufffd", -2.0),)),
        Delta("!", Channel.ANSWER, (Token(5, "!", -3.0),)),
    ]
    said = [stream.StreamEvent.decode(JoinedDelta.of(delta).encode()) for delta in deltas]
    events = [stream.started(1, "smol/lm2:bf16"), *said, stream.finished("length", USAGE, {})]

    async def follow(generation: Generation, **_options: Any) -> AsyncIterator[News]:
        tokens = [
            {**token, "channel": event.data["channel"]} for event in events[1:-1] for token in event.data["tokens"]
        ]
        await sync_to_async(TokenTrace.objects.create)(generation=generation, tokens=tokens)
        for event in events:
            yield [(None, event)]

    async def post(body: dict[str, Any]) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {secret}"}
        response = await AsyncClient().post(
            "/v1/completions", json.dumps(body), content_type="application/json", headers=headers
        )
        if response.streaming:
            return response.status_code, b"".join([chunk async for chunk in response.streaming_content]).decode()
        return response.status_code, response.content.decode()

    monkeypatch.setattr(choices, "follow", follow)
    with mock.patch.object(dispatch, "current_app"):
        yield lambda **body: async_to_sync(post)({"model": "smol/lm2", "prompt": PROMPT} | body)


def test_a_text_is_continued_as_a_raw_completion(ask: Ask) -> None:
    status, text = ask(max_tokens=9, stop=["END"], seed=7, logprobs=2, echo=False, n=1, best_of=1)
    generation = Generation.objects.get()
    assert (status, generation.kind, generation.prompt) == (200, Kind.COMPLETION, PROMPT)
    asked_for = {"max_tokens": 9, "stop": ["END"], "seed": 7, "top_logprobs": 2}
    assert {name: generation.params[name] for name in asked_for} == asked_for
    start = len(PROMPT)
    assert json.loads(text) == {
        "id": f"cmpl-{generation.pk.hex}",
        "object": "text_completion",
        "created": int(generation.created_at.timestamp()),
        "model": "smol/lm2:bf16",
        "choices": [
            {
                "text": " a 🙂!",
                "index": 0,
                "logprobs": {
                    "tokens": [" a", " \ufffd", "\ufffd", "!"],
                    "token_logprobs": [-0.5, -1.0, -2.0, -3.0],
                    "top_logprobs": [{" a": -0.5, "n": -1.5}, {" \ufffd": -1.0}, {"\ufffd": -2.0}, {"!": -3.0}],
                    "text_offset": [start, start + 2, start + 2, start + 4],
                },
                "finish_reason": "length",
            }
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


def test_a_stream_tells_the_same_in_chunks(ask: Ask) -> None:
    whole = json.loads(ask(logprobs=1)[1])["choices"][0]
    text = ask(stream=True, logprobs=1, stream_options={"include_usage": True})[1]
    *events, done = [line.removeprefix("data: ") for line in text.strip().split("\n\n")]
    chunks = [json.loads(event) for event in events]
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 7)
    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert "".join(choice["text"] for choice in choices) == whole["text"]
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["length"]
    for name, values in whole["logprobs"].items():
        assert [value for choice in choices if choice["logprobs"] for value in choice["logprobs"][name]] == values


def test_one_text_in_a_list_is_one_text_and_logprobs_come_only_asked(ask: Ask) -> None:
    assert json.loads(ask(prompt=[PROMPT])[1])["choices"][0]["logprobs"] is None
    assert Generation.objects.get().prompt == PROMPT


def test_what_is_refused_is_named_and_starts_nothing(ask: Ask) -> None:
    refused = [
        ({"prompt": None}, "prompt", "one text"),
        ({"prompt": ["a", "b"]}, "prompt", "one text"),
        ({"prompt": [1, 2]}, "prompt", "token ids"),
        ({"prompt": [[1]]}, "prompt", "token ids"),
        ({"prompt": " "}, "prompt", "Write a prompt"),
        ({"prompt": "x" * 32_001}, "prompt", "At most 32000"),
        ({"max_tokens": 2049}, "max_tokens", "1 to 2048"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens"),
        ({"max_completion_tokens": 5}, "max_completion_tokens", "not supported"),
        ({"logprobs": 21}, "logprobs", "20"),
        ({"logprobs": True}, "logprobs", "whole number"),
        ({"logprobs": -1}, "logprobs", "logprobs"),
        ({"echo": True}, "echo", "not supported"),
        ({"suffix": "."}, "suffix", "not supported"),
        ({"best_of": 2}, "best_of", "not supported"),
        ({"n": 9}, "n", "1 to 4"),
        ({"messages": []}, "messages", "not supported"),
    ]
    for change, param, words in refused:
        status, text = ask(**change)
        error = json.loads(text)["error"]
        assert (status, error["param"]) == (400, param), change
        assert words in error["message"]
    assert not Conversation.objects.exists()


def test_an_offset_follows_the_text_behind_parts_of_characters_and_ahead_of_it() -> None:
    offsets = TokenOffsets(10)
    # A stop string that may begin keeps text back; the tokens are told all the same.
    assert [offsets.next("ab"), offsets.next("c")] == [10, 12]
    offsets.text = "abc\u6f22\u5b57d"
    assert [offsets.next(part) for part in ("\ufffd", "\ufffd\ufffd", "d", "e")] == [13, 13, 15, 16]
