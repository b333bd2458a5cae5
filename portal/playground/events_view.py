"""The server-sent events of one generation, for its owner's browser."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_GET

from portal.accounts.actors import Actor, current_actor
from portal.playground.access import get_generation
from portal.playground.following import KEEP_ALIVE_S, follow, run_query
from portal.playground.models import Generation
from portal.playground.stream import BEGINNING, StreamId

RECONNECT_MS: Final = 1000


@require_GET
async def events(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse | StreamingHttpResponse:
    """Stream a generation to its owner; `Last-Event-ID` resumes behind that event."""
    generation = await run_query(_load, request, generation_id)
    offered = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id", "")
    try:
        after = StreamId.parse(offered) if offered else BEGINNING
    except ValueError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(_as_sse(generation, after), content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    # nginx would hold the tokens back.
    response["X-Accel-Buffering"] = "no"
    return response


def _load(request: HttpRequest, generation_id: uuid.UUID) -> Generation:
    actor: Actor = current_actor(request)
    return get_generation(actor, generation_id)


async def _as_sse(generation: Generation, after: StreamId) -> AsyncIterator[bytes]:
    yield f"retry: {RECONNECT_MS}\n\n".encode()
    last_sent = time.monotonic()
    async for event_id, event in follow(generation, after):
        if event is not None:
            yield event.as_sse(event_id)
            last_sent = time.monotonic()
        elif time.monotonic() - last_sent >= KEEP_ALIVE_S:
            yield b": still here\n\n"
            last_sent = time.monotonic()
