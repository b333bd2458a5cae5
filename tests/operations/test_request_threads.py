"""A request's synchronous work has one thread, which the next request gets."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from unittest.mock import patch

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.core.exceptions import RequestAborted
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import override_settings
from django.urls import path

from portal.operations.request_threads import AT_ONCE, STREAM_THREADS, OneThreadHandler, RequestThreads, Rush
from portal.playground.client_presence import when_client_leaves
from portal.playground.waiting import waiting_begins

# How long something that comes soon may take.
PATIENCE_S = 60

waiting = threading.Event()
let_go = threading.Event()
cancelled = threading.Event()
streaming = asyncio.Semaphore(0)


def _thread() -> str:
    return str(threading.get_ident())


async def _stay() -> None:
    """What a client sends that does not leave."""
    await asyncio.Future()


class NotingMiddleware:
    def __init__(self, get_response: object) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self._get_response(request)  # type: ignore[operator]
        response["X-Middleware-Thread"] = _thread()
        return response


def plain(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(_thread())


def held(_request: HttpRequest) -> HttpResponse:
    waiting.set()
    let_go.wait(2 * PATIENCE_S)
    return HttpResponse(_thread())


def told(_request: HttpRequest) -> HttpResponse:
    when_client_leaves(cancelled.set)
    waiting.set()
    let_go.wait(2 * PATIENCE_S)
    return HttpResponse(_thread())


async def awaited(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{_thread()} {await sync_to_async(_thread)()}")


async def waiter(_request: HttpRequest) -> HttpResponse:
    waiting_begins()
    await asyncio.to_thread(let_go.wait, 2 * PATIENCE_S)
    return HttpResponse()


async def endless(_request: HttpRequest) -> HttpResponse:
    waiting.set()
    try:
        await asyncio.sleep(10 * PATIENCE_S)
    except asyncio.CancelledError:
        cancelled.set()
        raise
    raise AssertionError("nobody left")


def streamed(_request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[str]:
        yield await sync_to_async(_thread)()

    return StreamingHttpResponse(pieces())


def events(_request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[str]:
        streaming.release()
        await asyncio.to_thread(let_go.wait, 2 * PATIENCE_S)
        yield await sync_to_async(lambda: threading.current_thread().name)()

    return StreamingHttpResponse(pieces(), content_type="text/event-stream; charset=utf-8")


urlpatterns = [path(view.__name__, view) for view in (plain, held, told, awaited, waiter, endless, streamed, events)]


@pytest.fixture
def application() -> Iterator[OneThreadHandler]:
    for event in (waiting, let_go, cancelled):
        event.clear()
    own = {"ROOT_URLCONF": sys.modules[__name__], "MIDDLEWARE": [f"{__name__}.NotingMiddleware"]}
    with override_settings(**own):
        yield OneThreadHandler()


def _asked(application: OneThreadHandler, address: str) -> ApplicationCommunicator:
    scope = {"type": "http", "method": "GET", "path": f"/{address}", "query_string": b"", "headers": []}
    return ApplicationCommunicator(application, scope)  # type: ignore[arg-type]


async def _get(application: OneThreadHandler, address: str) -> tuple[str, str]:
    """The middleware's thread and the body."""
    asked = _asked(application, address)
    await asked.send_input({"type": "http.request"})
    start = await asked.receive_output(PATIENCE_S)
    body = b""
    while True:
        part = await asked.receive_output(PATIENCE_S)
        body += part.get("body", b"")
        if not part.get("more_body"):
            break
    await asked.wait(PATIENCE_S)
    return dict(start["headers"])[b"X-Middleware-Thread"].decode(), body.decode()


def test_middleware_views_and_what_streams_do_in_threads_share_one(application: OneThreadHandler) -> None:
    async def scenario() -> None:
        thread, body = await _get(application, "plain")
        assert thread == body != _thread()
        thread, body = await _get(application, "awaited")
        assert body == f"{_thread()} {thread}"
        thread, body = await _get(application, "streamed")
        assert body == thread

    asyncio.run(scenario())


def test_the_next_request_gets_the_same_thread_and_one_beside_it_another(application: OneThreadHandler) -> None:
    async def scenario() -> None:
        first, _ = await _get(application, "plain")
        second, _ = await _get(application, "plain")
        assert first == second
        slow = asyncio.create_task(_get(application, "held"))
        await asyncio.to_thread(waiting.wait, PATIENCE_S)
        beside, _ = await _get(application, "plain")
        let_go.set()
        assert (await slow)[0] == first
        assert beside != first

    asyncio.run(scenario())


def test_who_waits_for_events_leaves_the_thread_to_the_next_request(application: OneThreadHandler) -> None:
    async def scenario() -> None:
        watched = [asyncio.create_task(_get(application, "events")) for _ in range(20)]
        async with asyncio.timeout(PATIENCE_S):
            for _ in watched:
                await streaming.acquire()
        after, _ = await _get(application, "plain")
        let_go.set()
        answers = [await each for each in watched]
        assert after in {thread for thread, _name in answers}
        assert len({name for _thread, name in answers}) <= STREAM_THREADS
        assert all(name.startswith("stream") for _thread, name in answers)

    asyncio.run(scenario())


def test_a_client_that_leaves_cancels_its_view_and_the_thread_is_free_again(
    application: OneThreadHandler,
) -> None:
    async def scenario() -> None:
        first, _ = await _get(application, "plain")
        asked = _asked(application, "endless")
        await asked.send_input({"type": "http.request"})
        await asyncio.to_thread(waiting.wait, PATIENCE_S)
        await asked.send_input({"type": "http.disconnect"})
        await asked.wait(PATIENCE_S)
        assert cancelled.is_set()
        assert (await _get(application, "plain"))[0] == first

    asyncio.run(scenario())


def test_a_view_in_its_thread_hears_that_its_client_has_left(application: OneThreadHandler) -> None:
    async def scenario() -> None:
        asked = _asked(application, "told")
        await asked.send_input({"type": "http.request"})
        await asyncio.to_thread(waiting.wait, PATIENCE_S)
        assert not cancelled.is_set()
        await asked.send_input({"type": "http.disconnect"})
        assert await asyncio.to_thread(cancelled.wait, PATIENCE_S)
        let_go.set()
        await asked.wait(PATIENCE_S)

    asyncio.run(scenario())


def test_a_view_whose_client_stays_hears_nothing(application: OneThreadHandler) -> None:
    let_go.set()
    asyncio.run(_get(application, "told"))
    assert waiting.is_set()
    assert not cancelled.is_set()


def test_in_a_rush_requests_begin_in_turn_and_who_takes_long_holds_nobody_up() -> None:
    async def scenario() -> None:
        rush = Rush(at_once=2, counted_s=10 * PATIENCE_S)
        leave, _stays = await rush.enter(_stay), await rush.enter(_stay)
        third = asyncio.create_task(rush.enter(_stay))
        await asyncio.sleep(0)
        assert not third.done()
        leave()
        leave()
        async with asyncio.timeout(PATIENCE_S):
            await third
        rush = Rush(at_once=2, counted_s=0.05)
        async with asyncio.timeout(PATIENCE_S):
            # Two who never leave count no more after a moment.
            for _ in range(4):
                await rush.enter(_stay)

    asyncio.run(scenario())


def test_who_leaves_or_is_cancelled_while_waiting_takes_no_turn() -> None:
    async def scenario() -> None:
        rush = Rush(at_once=1, counted_s=10 * PATIENCE_S)
        leave = await rush.enter(_stay)
        gone = asyncio.Event()
        left, dropped, last = (asyncio.create_task(rush.enter(each)) for each in (gone.wait, _stay, _stay))
        await asyncio.sleep(0)
        gone.set()
        dropped.cancel()
        with pytest.raises(RequestAborted):
            await left
        with pytest.raises(asyncio.CancelledError):
            await dropped
        leave()
        await asyncio.wait_for(last, PATIENCE_S)

    asyncio.run(scenario())


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_who_leaves_or_is_cancelled_as_the_turn_comes_gives_it_back(is_cancelled: bool) -> None:
    async def scenario() -> None:
        rush = Rush(at_once=1, counted_s=10 * PATIENCE_S)
        leave = await rush.enter(_stay)
        gone = asyncio.Event()
        first, last = asyncio.create_task(rush.enter(gone.wait)), asyncio.create_task(rush.enter(_stay))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leave()
        if is_cancelled:
            # The turn is taken by now, and what waits for it has not gone on yet.
            await asyncio.sleep(0)
            first.cancel()
        else:
            gone.set()
        with pytest.raises((RequestAborted, asyncio.CancelledError)):
            await first
        await asyncio.wait_for(last, PATIENCE_S)

    asyncio.run(scenario())


def test_nothing_is_done_for_a_client_that_left_before_its_turn(application: OneThreadHandler) -> None:
    async def scenario() -> None:
        busy = _asked(application, "held")
        await busy.send_input({"type": "http.request"})
        await asyncio.to_thread(waiting.wait, PATIENCE_S)
        left = _asked(application, "endless")
        waiting.clear()
        await left.send_input({"type": "http.request"})
        assert await left.receive_nothing(0.02)
        await left.send_input({"type": "http.disconnect"})
        beside = asyncio.create_task(_get(application, "plain"))
        let_go.set()
        await beside
        for each in (busy, left):
            await each.wait(PATIENCE_S)
        assert not waiting.is_set(), "its view began"

    with patch.object(application, "_rush", Rush(at_once=1, counted_s=10 * PATIENCE_S)):
        asyncio.run(scenario())


def test_who_is_slow_to_send_a_body_or_waits_for_a_model_holds_nobody_up(application: OneThreadHandler) -> None:
    async def scenario() -> None:
        slow = [_asked(application, "plain") for _ in range(3 * AT_ONCE)]
        waiters = [_asked(application, "waiter") for _ in range(3 * AT_ONCE)]
        for each in slow:
            assert await each.receive_nothing(0.02)
        for each in waiters:
            await each.send_input({"type": "http.request"})
            assert await each.receive_nothing(0.02)
        await _get(application, "plain")
        let_go.set()
        for each in waiters:
            await each.wait(PATIENCE_S)
        for each in slow:
            await each.send_input({"type": "http.disconnect"})
            await each.wait(PATIENCE_S)

    with patch.object(application, "_rush", Rush(counted_s=10 * PATIENCE_S)):
        asyncio.run(scenario())


def test_anything_but_http_is_refused(application: OneThreadHandler) -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="HTTP alone, not websocket"):
            await application({"type": "websocket"}, None, None)

    asyncio.run(scenario())


def test_no_more_threads_are_kept_than_a_rush_needs() -> None:
    threads = RequestThreads(kept=1)
    first, second = threads.lend(), threads.lend()
    assert first is not second
    threads.take_back(first)
    threads.take_back(second)
    assert threads.lend() is first
    with pytest.raises(RuntimeError, match="shutdown"):
        second.submit(_thread)
    first.shutdown()
