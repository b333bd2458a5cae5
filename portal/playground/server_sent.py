"""A generation's events as an HTTP answer, for the page's browser and for programs alike."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator
from http import HTTPMethod
from typing import Final

from django.http import StreamingHttpResponse

from portal.playground.following import KEEP_ALIVE_S, follow
from portal.playground.models import Generation
from portal.playground.stream import StreamId

RECONNECT_MS: Final = 1000
KEEP_ALIVE: Final = b": still here\n\n"
FIRST_WORDS: Final = f"retry: {RECONNECT_MS}\n\n".encode()


def events_response(generation: Generation, after: StreamId, method: str | None) -> StreamingHttpResponse:
    """What happens to the generation behind `after`, to its end."""
    return server_sent(_as_sse(generation, after), method)


def server_sent(events: AsyncIterable[bytes], method: str | None) -> StreamingHttpResponse:
    """An answer of server-sent events that no proxy holds back and no cache keeps.

    To a HEAD it has the same headers and is over: otherwise it would last as long as what the events tell of.
    """
    told = _nothing() if method == HTTPMethod.HEAD else events
    response = StreamingHttpResponse(told, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    # nginx would hold the tokens back.
    response["X-Accel-Buffering"] = "no"
    return response


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for each in nothing:
        yield each


async def _as_sse(generation: Generation, after: StreamId) -> AsyncIterator[bytes]:
    yield FIRST_WORDS
    last_sent = time.monotonic()
    async for news in follow(generation, after):
        if news:
            yield b"".join(event.as_sse(event_id) for event_id, event in news)
            last_sent = time.monotonic()
        elif time.monotonic() - last_sent >= KEEP_ALIVE_S:
            yield KEEP_ALIVE
            last_sent = time.monotonic()
