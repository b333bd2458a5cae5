"""Long answers in pieces: constant memory under WSGI and under ASGI, and an end when the client goes away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from portal.exports.compression import accepted_coding, compressed
from portal.exports.formats import ExportFormat
from portal.exports.tables import Plan


def stream_export(request: HttpRequest, name: str, plan: Plan, form: ExportFormat) -> StreamingHttpResponse:
    """Send an export as it is read, text compressed as the client accepts it.

    Django collects a synchronous iterator whole before it sends anything under ASGI, and an asynchronous one under
    WSGI, so each gets its own kind. Each piece is a few short queries; between pieces nothing is held.
    """
    coding = accepted_coding(request.headers.get("Accept-Encoding", "")) if form.is_text else None
    pieces = compressed((piece for piece, _rows in plan.pieces(form) if piece), coding)
    content = _pull(pieces) if isinstance(request, ASGIRequest) else pieces
    charset = "; charset=utf-8" if form.name in {"csv", "jsonl"} else ""
    response = StreamingHttpResponse(content, content_type=f"{form.media_type}{charset}")
    filename = f"{name}-{timezone.now():%Y%m%dT%H%M%SZ}.{form.name}"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-store"
    # A proxy that buffers would hold the first byte back.
    response["X-Accel-Buffering"] = "no"
    if form.is_text:
        patch_vary_headers(response, ["Accept-Encoding"])
    if coding is not None:
        response["Content-Encoding"] = coding
    return response


async def _pull(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    pull = sync_to_async(lambda: next(pieces, None))
    while (piece := await pull()) is not None:
        yield piece
