"""Whatever an upstream does, each request ends once, with an answer or with an honest failure, and the others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from inference.engine import GenerationRequest, Message
from inference.events import (
    TERMINAL_EVENTS,
    Channel,
    Failed,
    FailureCode,
    Finished,
    FinishReason,
    Released,
    Started,
)
from inference.sampling_params import SamplingParams
from inference.upstream_client import UpstreamPatience
from inference.upstream_engine import UpstreamEngine
from tests.inference.recorder import Recorder
from tests.inference.scripted_upstream import MODEL, Exchange, ScriptedUpstream, count
from tests.services.installation import eventually, free_port

KEY = "sk-very-secret"
QUICK = UpstreamPatience(connect_s=1, first_byte_s=0.4, between_pieces_s=0.4, first_pause_s=0.01, longest_pause_s=0.5)


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    yield server
    server.close()


@pytest.fixture
def make_engine(upstream: ScriptedUpstream, recorder: Recorder) -> Iterator[Callable[..., UpstreamEngine]]:
    made: list[UpstreamEngine] = []

    def make(**options: object) -> UpstreamEngine:
        settings = {"base_url": upstream.url, "model": MODEL, "key": KEY, "patience": QUICK, **options}
        made.append(UpstreamEngine(recorder, **settings))
        return made[-1]

    yield make
    for engine in made:
        engine.close(0)


def asked(request_id: str = "a", *, deadline_s: float | None = None, **params: object) -> GenerationRequest:
    messages = (Message("user", "tell me"),)
    sampling = SamplingParams(**{"max_tokens": 50, **params})
    return GenerationRequest(request_id=request_id, messages=messages, params=sampling, deadline_s=deadline_s)


@pytest.fixture
def end_of(make_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream) -> Callable:
    def run(behave: Callable, request: GenerationRequest | None = None, **options: object) -> object:
        upstream.behave = behave
        engine = make_engine(**options)
        request = request or asked()
        engine.submit(request)
        ended = recorder.wait_for_end(request.request_id)
        assert sum(isinstance(event, TERMINAL_EVENTS) for event in recorder.events(request.request_id)) == 1
        return ended

    return run


def assert_failed(ended: object, part: str, code: FailureCode = FailureCode.UPSTREAM) -> None:
    assert isinstance(ended, Failed), ended
    assert ended.code is code
    assert part in ended.message
    assert KEY not in ended.message


# --- Before the first token: asked again


def first_then_answer(*first: Callable) -> Callable:
    """The first exchanges go as said, the one after them is answered."""
    left = list(first)

    async def behave(exchange: Exchange) -> None:
        await (left.pop(0)(exchange) if left else count(exchange))

    return behave


def answering(status: int, **headers: str) -> Callable:
    async def behave(exchange: Exchange) -> None:
        await exchange.respond(status, {"error": {"message": "busy"}}, **headers)

    return behave


async def hang_up(exchange: Exchange) -> None:
    exchange.drop()


async def begin_and_hang_up(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.say("", delta={"role": "assistant"})
    exchange.drop()


@pytest.mark.parametrize("first", [*map(answering, (429, 502, 503, 504)), hang_up, begin_and_hang_up])
def test_what_fails_before_the_first_token_is_asked_again(
    end_of: Callable, recorder: Recorder, upstream: ScriptedUpstream, first: Callable
) -> None:
    ended = end_of(first_then_answer(first, first))
    assert isinstance(ended, Finished)
    assert len(upstream.exchanges) == 3
    assert sum(isinstance(event, Started) for event in recorder.events("a")) == 1
    assert len(recorder.tokens("a")) == 50


def test_it_is_asked_four_times_and_no_more(end_of: Callable, upstream: ScriptedUpstream) -> None:
    assert_failed(end_of(answering(503)), "has no room at the moment (503)")
    assert len(upstream.exchanges) == 4


def test_the_wait_that_an_upstream_asks_for_is_kept(end_of: Callable) -> None:
    before = time.monotonic()
    assert isinstance(end_of(first_then_answer(answering(429, Retry_After="0.3"))), Finished)
    assert time.monotonic() - before >= 0.3


def test_a_wait_beyond_the_bound_is_a_failure_at_once(end_of: Callable, upstream: ScriptedUpstream) -> None:
    assert_failed(end_of(answering(429, Retry_After="3600")), "no room")
    assert len(upstream.exchanges) == 1


def test_an_upstream_that_is_not_there_is_said(end_of: Callable) -> None:
    assert_failed(end_of(count, base_url=f"http://127.0.0.1:{free_port()}/v1"), "cannot be reached")


def test_a_request_between_two_attempts_is_cancelled_and_released_at_once(
    make_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    upstream.behave = answering(429, Retry_After="20")
    engine = make_engine(patience=UpstreamPatience())
    engine.submit(asked("a"))
    engine.submit(asked("b"))
    eventually(lambda: len(upstream.exchanges) == 2, 10, "both were asked")
    time.sleep(0.2)
    before = time.monotonic()
    engine.cancel("a")
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.CANCELLED
    engine.close(15)
    assert isinstance(recorder.wait_for_end("b"), Released)
    assert time.monotonic() - before < 5


# --- Time


async def hang(exchange: Exchange) -> None:
    await asyncio.sleep(30)


async def hang_after_the_head(exchange: Exchange) -> None:
    await exchange.begin()
    await asyncio.sleep(30)


async def hang_in_the_middle(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.say("so far")
    await asyncio.sleep(30)


async def trickle_an_error(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 400 No\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n")
    await asyncio.sleep(30)


@pytest.mark.parametrize("behave", [hang, hang_after_the_head, hang_in_the_middle])
def test_an_upstream_that_says_nothing_is_given_up(end_of: Callable, behave: Callable) -> None:
    before = time.monotonic()
    assert_failed(end_of(behave), "sent nothing for 0.4 seconds")
    assert time.monotonic() - before < 5


def test_an_error_that_never_comes_whole_is_given_up(end_of: Callable) -> None:
    assert_failed(end_of(trickle_an_error), "(400)")


@pytest.mark.parametrize("behave", [hang, hang_after_the_head])
def test_the_deadline_counts_while_waiting(end_of: Callable, behave: Callable) -> None:
    ended = end_of(behave, asked(deadline_s=0.2), patience=UpstreamPatience())
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.DEADLINE
    assert ended.usage.is_counted


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
    assert upstream.exchanges[0].hung_up.wait(5)


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


# --- Hanging up


def test_cancel_hangs_up_on_the_upstream_at_once(
    make_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    engine = make_engine()
    engine.submit(asked("a", max_tokens=30_000))
    engine.submit(asked("b", max_tokens=100))
    recorder.wait_for_deltas("a", 3)
    began = time.monotonic()
    engine.cancel("a")
    exchange = next(each for each in upstream.exchanges if each.body["max_tokens"] == 30_000)
    assert exchange.hung_up.wait(2)
    assert exchange.hung_up_at - began < 0.5
    assert isinstance(recorder.wait_for_end("a"), Finished)
    other = recorder.wait_for_end("b")
    assert isinstance(other, Finished)
    assert other.finish_reason is FinishReason.LENGTH


def test_closing_hangs_up_on_what_is_left(
    make_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    engine = make_engine()
    engine.submit(asked("a", max_tokens=30_000))
    recorder.wait_for_deltas("a", 1)
    engine.close(0.1)
    assert isinstance(recorder.events("a")[-1], Released)
    assert upstream.exchanges[0].hung_up.wait(2)


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
    make_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    async def behave(exchange: Exchange) -> None:
        await (break_off(exchange) if exchange.body["max_tokens"] == 13 else count(exchange))

    upstream.behave = behave
    engine = make_engine()
    names = [f"r{number}" for number in range(6)]
    for name in names:
        engine.submit(asked(name))
    engine.submit(asked("bad", max_tokens=13))
    assert isinstance(recorder.wait_for_end("bad"), Failed)
    for name in names:
        assert isinstance(recorder.wait_for_end(name), Finished)


def test_an_error_of_our_own_is_that_requests_alone(
    make_engine: Callable[..., UpstreamEngine], recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
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
