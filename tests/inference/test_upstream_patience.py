"""How often an upstream is asked, how long it is waited for, and that nobody waits after a cancel or a close."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from inference.events import Finished, FinishReason, Released, Started
from inference.upstream_engine import UpstreamEngine
from tests.inference.failing_upstreams import HASTY, PATIENT, asked, assert_failed
from tests.inference.recorder import Recorder
from tests.inference.scripted_upstream import Exchange, ScriptedUpstream, count
from tests.services.installation import eventually, free_port

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


# As long as a test may wait, and longer than any pause of the machine.
LONG_PAUSES = replace(PATIENT, longest_pause_s=60)


def pausing(engine: UpstreamEngine) -> int:
    """How many of its requests wait to be asked again."""
    return sum(accepted.run.is_pausing for accepted in list(engine._accepted.values()))


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
    make_keyed_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    upstream.behave = answering(429, Retry_After="60")
    engine = make_keyed_engine(patience=LONG_PAUSES)
    engine.submit(asked("a"))
    engine.submit(asked("b"))
    eventually(lambda: pausing(engine) == 2, 30, "both wait to be asked again")
    engine.cancel("a")
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.CANCELLED
    engine.close(90)
    assert isinstance(recorder.wait_for_end("b"), Released)
    assert len(upstream.exchanges) == 2


def test_a_request_that_would_pause_while_the_engine_closes_is_released_at_once(
    make_keyed_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    is_closing = threading.Event()

    async def be_busy_then(exchange: Exchange) -> None:
        await asyncio.to_thread(is_closing.wait, 30)
        await exchange.respond(429, {}, Retry_After="60")

    upstream.behave = be_busy_then
    engine = make_keyed_engine(patience=LONG_PAUSES)
    engine.submit(asked("a"))
    eventually(lambda: upstream.exchanges, 30, "it was asked")
    closing = threading.Thread(target=engine.close, args=(90,))
    closing.start()
    eventually(lambda: engine._close_at is not None, 30, "the engine closes")
    is_closing.set()
    closing.join()
    assert isinstance(recorder.wait_for_end("a"), Released)
    assert len(upstream.exchanges) == 1


# --- Time


async def say_no_more() -> None:
    """Until the server closes, however late that is."""
    await asyncio.Event().wait()


async def hang(exchange: Exchange) -> None:
    await say_no_more()


async def hang_after_the_head(exchange: Exchange) -> None:
    await exchange.begin()
    await say_no_more()


async def hang_in_the_middle(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.say("so far")
    await say_no_more()


async def trickle_an_error(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 400 No\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n")
    await say_no_more()


@pytest.mark.parametrize("behave", [hang, hang_after_the_head, hang_in_the_middle])
def test_an_upstream_that_says_nothing_is_given_up(end_of: Callable, behave: Callable) -> None:
    assert_failed(end_of(behave, patience=HASTY), "sent nothing for 0.4 seconds")


def test_an_error_that_never_comes_whole_is_given_up(end_of: Callable) -> None:
    # connect_s bounds this as well. A pause of the machine can cost a connection, which is then asked for again.
    patience = replace(PATIENT, connect_s=0.4, attempts=50)
    assert_failed(end_of(trickle_an_error, patience=patience), "(400)")


@pytest.mark.parametrize("behave", [hang, hang_after_the_head])
def test_the_deadline_counts_while_waiting(end_of: Callable, behave: Callable) -> None:
    ended = end_of(behave, asked(deadline_s=0.2))
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.DEADLINE
    assert ended.usage.is_counted


# --- Hanging up


def test_cancel_hangs_up_on_the_upstream_at_once(
    make_keyed_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    async def behave(exchange: Exchange) -> None:
        # Whose next piece never comes.
        await (hang_in_the_middle(exchange) if exchange.body["max_tokens"] == 30 else count(exchange))

    upstream.behave = behave
    engine = make_keyed_engine(patience=replace(PATIENT, between_pieces_s=300))
    engine.submit(asked("a", max_tokens=30))
    engine.submit(asked("b", max_tokens=100))
    recorder.wait_for_deltas("a", 1)
    engine.cancel("a")
    exchange = next(each for each in upstream.exchanges if each.body["max_tokens"] == 30)
    assert exchange.hung_up.wait(30)
    assert isinstance(recorder.wait_for_end("a"), Finished)
    other = recorder.wait_for_end("b")
    assert isinstance(other, Finished)
    assert other.finish_reason is FinishReason.LENGTH


def test_closing_hangs_up_on_what_is_left(
    make_keyed_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    upstream.behave = hang_in_the_middle
    engine = make_keyed_engine()
    engine.submit(asked("a"))
    recorder.wait_for_deltas("a", 1)
    engine.close(0.1)
    assert isinstance(recorder.events("a")[-1], Released)
    assert upstream.exchanges[0].hung_up.wait(30)
