"""How often an upstream is asked, how long it is waited for, and that nobody waits after a cancel or a close."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from inference.events import Finished, FinishReason, Released, Started
from inference.upstream_client import UpstreamPatience
from inference.upstream_engine import UpstreamEngine
from tests.inference.hasty_engines import asked, assert_failed
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
    make_hasty_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    upstream.behave = answering(429, Retry_After="20")
    engine = make_hasty_engine(patience=UpstreamPatience())
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


# --- Hanging up


def test_cancel_hangs_up_on_the_upstream_at_once(
    make_hasty_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    engine = make_hasty_engine()
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
    make_hasty_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    engine = make_hasty_engine()
    engine.submit(asked("a", max_tokens=30_000))
    recorder.wait_for_deltas("a", 1)
    engine.close(0.1)
    assert isinstance(recorder.events("a")[-1], Released)
    assert upstream.exchanges[0].hung_up.wait(2)
