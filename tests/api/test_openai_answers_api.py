"""How a run's events are told in OpenAI's form, whole and streamed, when all goes well and when not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import OperationalError
from django.test import AsyncClient

from inference.events import Alternative, Channel, Delta, Token
from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.api.openai import choices, run_view
from portal.playground import dispatch, stream
from portal.playground.following import News
from portal.playground.joined_delta import JoinedDelta
from portal.playground.models import Generation, State, TokenTrace
from tests.playground.turns import make_variant

pytestmark = pytest.mark.django_db(transaction=True)

CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 1, "reasoning_tokens": 1}
OPENAI_USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 2,
    "total_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
STARTED = stream.started(1, "smol/lm2:bf16")
FINISHED = stream.finished("stop", USAGE, {})
Events = list[stream.StreamEvent | Exception | None]
Answer = Callable[..., Any]


def says(text: str, channel: Channel = Channel.ANSWER, **token: Any) -> stream.StreamEvent:
    top = token.pop("top", ())
    said = Delta(text, channel, (Token(id=1, text=text, logprob=-0.5, top=top, **token),))
    return stream.StreamEvent.decode(JoinedDelta.of(said).encode())


@pytest.fixture
def events() -> Events:
    """What the run's stream tells; tests fill it."""
    return []


@pytest.fixture(params=[False, True], ids=["one by one", "together"])
def answer(
    request: pytest.FixtureRequest, alice: User, events: Events, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Answer]:
    """Asks over ASGI as alice; the answer and its body."""
    make_variant()
    _token, secret = create_token(alice, name="test", scopes=[Scope.SUBMIT], lifetime=None)

    async def follow(generation: Generation, **_options: Any) -> AsyncIterator[News]:
        tokens = [
            {**token, "channel": event.data["channel"]}
            for event in events
            if isinstance(event, stream.StreamEvent) and event.type == stream.EventType.DELTA
            for token in event.data["tokens"]
        ]
        await sync_to_async(TokenTrace.objects.create)(generation=generation, tokens=tokens)
        news: News = []
        for event in events:
            if isinstance(event, stream.StreamEvent):
                news.append((None, event))
                if request.param:
                    continue
            yield news
            news = []
            if isinstance(event, Exception):
                raise event
        yield news

    async def post(body: dict[str, Any]) -> tuple[Any, str]:
        response = await AsyncClient().post(
            CHAT, json.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {secret}"}
        )
        if response.streaming:
            return response, b"".join([chunk async for chunk in response.streaming_content]).decode()
        return response, response.content.decode()

    def ask(**body: Any) -> tuple[Any, str]:
        defaults = {"model": "smol/lm2", "messages": [{"role": "user", "content": "Hello"}]}
        response, text = async_to_sync(post)(defaults | body)
        return response, text

    monkeypatch.setattr(choices, "follow", follow)
    with mock.patch.object(dispatch, "current_app"):
        yield ask


def chunks_of(text: str) -> list[Any]:
    """The decoded data of a stream; [DONE] as that text."""
    data = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def deltas_of(chunks: list[Any]) -> list[tuple[dict[str, str], str | None]]:
    choices = [chunk["choices"][0] for chunk in chunks if chunk != "[DONE]" and chunk.get("choices")]
    return [(choice["delta"], choice["finish_reason"]) for choice in choices]


def test_a_whole_answer_is_openais_object(answer: Answer, events: Events) -> None:
    events += [STARTED, None, says("A "), says("balance."), FINISHED]
    response, text = answer()
    generation = Generation.objects.get()
    assert json.loads(text) == {
        "id": f"chatcmpl-{generation.pk.hex}",
        "object": "chat.completion",
        "created": int(generation.created_at.timestamp()),
        "model": "smol/lm2:bf16",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A balance."},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": OPENAI_USAGE,
    }
    assert response["Cache-Control"] == "no-store"


def test_a_streamed_answer_is_openais_chunks(answer: Answer, events: Events) -> None:
    events += [STARTED, says("A "), says("balance."), FINISHED]
    response, text = answer(stream=True)
    assert response["Content-Type"].startswith("text/event-stream")
    chunks = chunks_of(text)
    assert deltas_of(chunks) == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "A "}, None),
        ({"content": "balance."}, None),
        ({}, "stop"),
    ]
    assert chunks[-1] == "[DONE]"
    generation = Generation.objects.get()
    for chunk in chunks[:-1]:
        assert chunk["id"] == f"chatcmpl-{generation.pk.hex}"
        assert (chunk["object"], chunk["model"]) == ("chat.completion.chunk", "smol/lm2:bf16")
        assert "usage" not in chunk


def test_usage_comes_before_the_end_where_it_was_asked_for(answer: Answer, events: Events) -> None:
    events += [STARTED, says("A"), FINISHED]
    chunks = chunks_of(answer(stream=True, stream_options={"include_usage": True})[1])
    assert (chunks[-2]["choices"], chunks[-2]["usage"], chunks[-1]) == ([], OPENAI_USAGE, "[DONE]")
    assert [chunk["usage"] for chunk in chunks[:-2]] == [None] * 3


@pytest.mark.parametrize("options", [{}, {"include_usage": False}, {"include_usage": None}])
def test_usage_does_not_come_unasked(answer: Answer, events: Events, options: dict[str, Any]) -> None:
    events += [STARTED, says("A"), FINISHED]
    assert "usage" not in answer(stream=True, stream_options=options)[1]


def test_thinking_is_reasoning_content(answer: Answer, events: Events) -> None:
    events += [STARTED, says("Hm.", Channel.THINKING), says("A balance."), FINISHED]
    message = json.loads(answer(logprobs=True)[1])["choices"][0]
    assert message["message"] == {"role": "assistant", "content": "A balance.", "reasoning_content": "Hm."}
    assert [token["token"] for token in message["logprobs"]["content"]] == ["A balance."]


def test_thinking_streams_as_reasoning_content(answer: Answer, events: Events) -> None:
    events += [STARTED, says("Hm.", Channel.THINKING), says("A"), FINISHED]
    chunks = chunks_of(answer(stream=True, logprobs=True)[1])
    assert [delta for delta, _ in deltas_of(chunks)][1:3] == [{"reasoning_content": "Hm."}, {"content": "A"}]
    assert [chunk["choices"][0]["logprobs"] is None for chunk in chunks[1:3]] == [True, False]


@pytest.mark.parametrize("streamed", [False, True])
def test_logprobs_have_their_alternatives_and_bytes(answer: Answer, events: Events, streamed: bool) -> None:
    events += [STARTED, says("ß", top=(Alternative(1, "ß", -0.5), Alternative(2, "\ufffd", -1.5))), FINISHED]
    text = answer(stream=streamed, logprobs=True, top_logprobs=2)[1]
    choices = chunks_of(text)[1]["choices"] if streamed else json.loads(text)["choices"]
    assert choices[0]["logprobs"] == {
        "content": [
            {
                "token": "ß",
                "logprob": -0.5,
                "bytes": [195, 159],
                "top_logprobs": [
                    {"token": "ß", "logprob": -0.5, "bytes": [195, 159]},
                    {"token": "\ufffd", "logprob": -1.5, "bytes": None},
                ],
            }
        ],
        "refusal": None,
    }


def test_tokens_that_show_no_text_yet_come_only_with_logprobs(answer: Answer, events: Events) -> None:
    events += [STARTED, says(""), says("🙂"), FINISHED]
    assert len(chunks_of(answer(stream=True)[1])) == 4
    assert len(chunks_of(answer(stream=True, logprobs=True)[1])) == 5


@pytest.mark.parametrize(("reason", "told"), [("stop", "stop"), ("length", "length"), ("deadline", "length")])
@pytest.mark.parametrize("streamed", [False, True])
def test_why_it_ended(answer: Answer, events: Events, reason: str, told: str, streamed: bool) -> None:
    events += [STARTED, says("A"), stream.finished(reason, USAGE, {})]
    text = answer(stream=streamed)[1]
    choice = chunks_of(text)[-2]["choices"][0] if streamed else json.loads(text)["choices"][0]
    assert choice["finish_reason"] == told


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("context_exceeded", 400, "context_length_exceeded"),
        ("unsupported", 400, "unsupported"),
        ("tokenizer", 400, "tokenizer"),
        ("out_of_memory", 500, "out_of_memory"),
        ("worker_lost", 500, "worker_lost"),
        ("unloadable", 500, "unloadable"),
    ],
)
def test_a_failed_run_is_an_error(answer: Answer, events: Events, code: str, status: int, told: str) -> None:
    events += [STARTED, stream.failed(code, "There is no answer.")]
    response, text = answer()
    error = json.loads(text)["error"]
    assert (response.status_code, error["code"], error["message"]) == (status, told, "There is no answer.")
    assert response["x-should-retry"] == "false"
    assert chunks_of(answer(stream=True)[1])[-1] == {"error": error}


def test_a_run_that_somebody_stopped_is_an_error(answer: Answer, events: Events) -> None:
    events += [STARTED, says("A"), stream.finished("cancelled", USAGE, {})]
    response, text = answer()
    assert (response.status_code, json.loads(text)["error"]["code"]) == (400, "cancelled")
    assert chunks_of(answer(stream=True)[1])[-1]["error"]["code"] == "cancelled"


def test_a_run_that_begins_anew_starts_a_whole_answer_afresh(answer: Answer, events: Events) -> None:
    events += [STARTED, says("Half"), stream.reset(2), STARTED, says("Whole"), FINISHED]
    assert json.loads(answer()[1])["choices"][0]["message"]["content"] == "Whole"


def test_a_run_that_begins_anew_before_any_text_goes_on_silently(answer: Answer, events: Events) -> None:
    events += [STARTED, stream.reset(2), STARTED, says("Whole"), FINISHED]
    deltas = [delta for delta, _ in deltas_of(chunks_of(answer(stream=True)[1]))]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Whole"}, {}]


def test_a_run_that_begins_anew_behind_sent_text_ends_honestly_and_stops(answer: Answer, events: Events) -> None:
    events += [STARTED, says("Half"), stream.reset(2), STARTED, says("Whole")]
    text = answer(stream=True)[1]
    assert chunks_of(text)[-1]["error"]["code"] == "worker_lost"
    assert "Whole" not in text
    assert "[DONE]" not in text
    eventually_cancelled(Generation.objects.get())


def test_a_silent_stream_is_kept_alive(answer: Answer, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_view, "KEEP_ALIVE_S", 0)
    events += [None, STARTED, None, says("A"), FINISHED]
    text = answer(stream=True)[1]
    assert text.startswith(": ")
    assert [delta for delta, _ in deltas_of(chunks_of(text))] == [
        {"role": "assistant", "content": ""},
        {"content": "A"},
        {},
    ]


@pytest.mark.parametrize(("error", "code"), [(OperationalError("away"), "unavailable"), (KeyError("x"), "internal")])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_of_ours_ends_the_answer_in_words_and_stops_the_run(
    answer: Answer, events: Events, error: Exception, code: str, streamed: bool
) -> None:
    events += [STARTED, says("A"), error]
    text = answer(stream=streamed)[1]
    told = chunks_of(text)[-1] if streamed else json.loads(text)
    assert told["error"]["code"] == code
    eventually_cancelled(Generation.objects.get())


def test_a_finished_run_is_not_stopped(answer: Answer, events: Events) -> None:
    events += [STARTED, says("A"), FINISHED]
    answer()
    answer(stream=True)
    from portal.api.openai import attended_run

    attended_run._stopper.submit(lambda: None).result(5)
    assert not Generation.objects.exclude(state=State.QUEUED).exists()


def eventually_cancelled(generation: Generation) -> None:
    from portal.api.openai import attended_run

    # One thread stops runs, in order.
    attended_run._stopper.submit(lambda: None).result(5)
    generation.refresh_from_db()
    assert generation.state == State.CANCELLED
