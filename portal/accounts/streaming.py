"""Long answers in pieces: constant memory under WSGI and under ASGI, and an end when the client goes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

Piece = TypeVar("Piece", str, bytes)
# While it makes way, a stream rests so many times as long as it works.
REST: Final = 2.0


def _never() -> bool:
    return False


def stream_pieces(
    request: HttpRequest,
    pieces: Iterator[Piece],
    *,
    content_type: str,
    filename: str,
    makes_way: Callable[[], bool] = _never,
) -> StreamingHttpResponse:
    """Send `pieces` as they come.

    Django collects a synchronous iterator whole before it sends anything under ASGI, and an asynchronous one under
    WSGI, so each gets its own kind. Each piece is one short query; between pieces nothing is held. Under ASGI it rests
    between them while `makes_way` says that somebody here waits for something more urgent. A HEAD makes no piece: the
    server would pull them all and send none.
    """
    if request.method == "HEAD":
        pieces = iter(())
    content = _pull(pieces, makes_way) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-store"
    # A proxy that buffers would hold the first byte back.
    response["X-Accel-Buffering"] = "no"
    return response


async def _pull(pieces: Iterator[Piece], makes_way: Callable[[], bool]) -> AsyncIterator[Piece]:
    pull = sync_to_async(lambda: next(pieces, None))
    began = time.monotonic()
    while (piece := await pull()) is not None:
        worked_s = time.monotonic() - began
        yield piece
        if makes_way():
            await asyncio.sleep(REST * worked_s)
        began = time.monotonic()
