"""The server-sent events of one generation, for its owner's browser."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from portal.accounts.actors import Actor, current_actor
from portal.playground.access import get_generation
from portal.playground.following import NOT_FOLLOWED, run_query
from portal.playground.models import Generation
from portal.playground.server_sent import events_response
from portal.playground.stream import BEGINNING, StreamId


@require_safe
async def events(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse | StreamingHttpResponse:
    """Stream a generation to its owner; `Last-Event-ID` resumes behind that event."""
    generation = await run_query(_load, request, generation_id)
    offered = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id", "")
    try:
        after = StreamId.parse(offered) if offered else BEGINNING
    except ValueError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    return events_response(generation, after, request.method)


def _load(request: HttpRequest, generation_id: uuid.UUID) -> Generation:
    actor: Actor = current_actor(request)
    return get_generation(actor, generation_id, without=NOT_FOLLOWED)
