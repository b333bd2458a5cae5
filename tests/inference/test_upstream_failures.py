"""Whatever an upstream does, each request ends once, with an answer or with an honest failure, and the others go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inference.events import Channel, Failed, FailureCode, Finished, FinishReason
from inference.upstream_engine import UpstreamEngine
from tests.inference.failing_upstreams import KEY, asked, assert_failed
from tests.inference.recorder import Recorder
from tests.inference.scripted_upstream import Exchange, ScriptedUpstream, count

# --- In the middle of an answer


async def break_off(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.say("so far")
    exchange.drop()


async def end_without_a_reason(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.say("so far")
    await exchange.end()


async def just_stop(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.say("so far")
    await exchange.end(done=False)


@pytest.mark.parametrize("behave", [break_off, end_without_a_reason, just_stop])
def test_an_answer_that_breaks_off_is_a_failure_and_is_not_asked_again(
    end_of: Callable, upstream: ScriptedUpstream, recorder: Recorder, behave: Callable
) -> None:
    assert_failed(end_of(behave), "upstream")
    assert len(upstream.exchanges) == 1
    assert recorder.text("a") == "so far"


@pytest.mark.parametrize(
    "document",
    [{"error": {"message": f"CUDA ran out at http://me:pw@host {KEY}"}}, {"error": "CUDA ran out"}],
)
def test_an_error_inside_the_stream_is_told_without_secrets(end_of: Callable, document: dict) -> None:
    async def fail(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.say("so far")
        await exchange.event(document)

    ended = end_of(fail)
    assert_failed(ended, "It says: CUDA ran out")
    assert "pw" not in ended.message


@pytest.mark.parametrize(
    ("event", "part"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"choices": 3}', "no choices"),
        ('{"choices": [3]}', "not an object"),
        ('{"choices": [{"delta": {"content": {}}}]}', "content is not a text"),
        ('{"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]}', "not a number"),
        ('{"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"logprob": NaN}]}}]}', "not JSON"),
        ('{"choices": [], "usage": {"prompt_tokens": -1}}', "not a count"),
    ],
)
def test_a_malformed_stream_is_a_failure(end_of: Callable, event: str, part: str) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event(event)

    assert_failed(end_of(behave), part)


async def send_without_a_newline(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.raw(b"data: ")
    for _ in range(1_600):
        await exchange.raw(b"x" * 65_536)


async def send_endless_text(exchange: Exchange) -> None:
    await exchange.begin()
    for _ in range(1_600):
        await exchange.say("x" * 65_536)


async def send_a_huge_error(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 400 No\r\nContent-Type: text/plain\r\nContent-Length: 100000000\r\n\r\n")
    for _ in range(1_600):
        await exchange.send(b"x" * 65_536)


@pytest.mark.parametrize("behave", [send_without_a_newline, send_endless_text, send_a_huge_error])
def test_a_hundred_megabytes_are_not_taken_in(end_of: Callable, upstream: ScriptedUpstream, behave: Callable) -> None:
    assert_failed(end_of(behave), "upstream")
    assert upstream.exchanges[0].hung_up.wait(30)


def test_an_upstream_that_ignores_the_limit_is_cut_there(end_of: Callable, recorder: Recorder) -> None:
    async def ignore_the_limit(exchange: Exchange) -> None:
        exchange.body["max_tokens"] = 100_000
        await count(exchange, 0)

    ended = end_of(ignore_the_limit, asked(max_tokens=7))
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.LENGTH
    assert len(recorder.tokens("a")) == 7


def test_half_a_character_at_the_border_of_two_pieces_is_whole_in_the_text(
    end_of: Callable, recorder: Recorder
) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        data = 'data: {"choices": [{"delta": {"content": "a🚀ü"}, "finish_reason": "stop"}]}\r\n\r\n'.encode()
        for byte in data:
            await exchange.raw(bytes([byte]))
        await exchange.end()

    assert isinstance(end_of(behave), Finished)
    assert recorder.text("a") == "a🚀ü"


# --- What is refused


@pytest.mark.parametrize(
    ("status", "document", "code", "part"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "upstream", "installation's key (401)"),
        (403, b"no", "upstream", "installation's key (403)"),
        (404, {"detail": "Not Found"}, "upstream", "does not know the model"),
        (500, {"error": {"message": "Traceback /home/me"}}, "upstream", "The upstream failed (500)."),
        (400, {"message": "maximum context length is 1024 tokens"}, "context_exceeded", "1024 tokens"),
        (422, {"detail": "Unexpected fields in the request: {'top_k'}"}, "unsupported", "top_k: the upstream refuses"),
        (400, {"error": {"message": f"No {KEY} for http://me:pw@host\n\x07"}}, "upstream", "No … for http://…@host"),
        (400, b"\xff", "upstream", "does not say why"),
        (413, {"detail": [{"msg": "too large"}]}, "upstream", "It says: too large"),
    ],
)
def test_a_refusal_becomes_a_sentence(
    end_of: Callable, upstream: ScriptedUpstream, status: int, document: object, code: str, part: str
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.respond(status, document)

    assert_failed(end_of(refuse, asked(top_k=5)), part, FailureCode(code))
    assert len(upstream.exchanges) == 1


def test_a_redirect_is_not_followed_with_the_key(end_of: Callable, upstream: ScriptedUpstream) -> None:
    async def redirect(exchange: Exchange) -> None:
        await exchange.respond(307, {}, Location=f"{upstream.url}/elsewhere")

    assert_failed(end_of(redirect), "redirect (307), which is not followed")
    assert len(upstream.exchanges) == 1


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_an_answer_that_is_no_stream_is_a_failure(end_of: Callable, kind: str) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin(kind)

    assert_failed(end_of(behave), "did not answer with an event stream")


def test_nobody_who_listens_is_told_the_key_and_the_upstream_is(end_of: Callable, upstream: ScriptedUpstream) -> None:
    end_of(count)
    assert upstream.exchanges[0].headers["authorization"] == f"Bearer {KEY}"
    assert upstream.exchanges[0].path == "/v1/chat/completions"


def test_one_request_fails_and_the_others_go_on(
    make_keyed_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    async def behave(exchange: Exchange) -> None:
        await (break_off(exchange) if exchange.body["max_tokens"] == 13 else count(exchange))

    upstream.behave = behave
    engine = make_keyed_engine()
    names = [f"r{number}" for number in range(6)]
    for name in names:
        engine.submit(asked(name))
    engine.submit(asked("bad", max_tokens=13))
    assert isinstance(recorder.wait_for_end("bad"), Failed)
    for name in names:
        assert isinstance(recorder.wait_for_end(name), Finished)


def test_an_error_of_our_own_is_that_requests_alone(
    make_keyed_engine: Callable[..., UpstreamEngine], recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_keyed_engine()
    with monkeypatch.context() as patched:
        patched.setattr("inference.upstream_run.read_chunk", lambda *_, **__: 1 / 0)
        engine.submit(asked("a"))
        ended = recorder.wait_for_end("a")
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.INTERNAL
    engine.submit(asked("b"))
    assert isinstance(recorder.wait_for_end("b"), Finished)


def test_thinking_is_its_own_channel(end_of: Callable, recorder: Recorder) -> None:
    async def think(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.say(delta={"reasoning_content": "Hm"})
        await exchange.say(delta={"reasoning": "."})
        await exchange.say("Yes.", "stop")
        await exchange.end()

    ended = end_of(think)
    assert isinstance(ended, Finished)
    assert (ended.usage.completion_tokens, ended.usage.reasoning_tokens) == (3, 2)
    assert recorder.text("a", Channel.THINKING) == "Hm."
    assert recorder.text("a") == "Yes."
