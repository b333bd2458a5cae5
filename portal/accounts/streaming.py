"""Long answers in pieces: constant memory under WSGI and under ASGI, and an end when the client goes away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

Piece = TypeVar("Piece", str, bytes)


def stream_pieces(
    request: HttpRequest, pieces: Iterator[Piece], *, content_type: str, filename: str
) -> StreamingHttpResponse:
    """Send `pieces` as they come.

    Django collects a synchronous iterator whole before it sends anything under ASGI, and an asynchronous one under
    WSGI, so each gets its own kind. Each piece is one short query; between pieces nothing is held.
    """
    content = _pull(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-store"
    # A proxy that buffers would hold the first byte back.
    response["X-Accel-Buffering"] = "no"
    return response


async def _pull(pieces: Iterator[Piece]) -> AsyncIterator[Piece]:
    pull = sync_to_async(lambda: next(pieces, None))
    while (piece := await pull()) is not None:
        yield piece
