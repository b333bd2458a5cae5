"""The server-sent events of a battle's two answers, for the person it belongs to."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from portal.accounts.actors import current_actor
from portal.arena.access import get_battle_runs
from portal.arena.blind_stream import blind_response
from portal.arena.lockstep import Mark
from portal.playground.following import run_query
from portal.playground.models import Generation


@require_safe
async def blind_events(request: HttpRequest, contest_id: uuid.UUID) -> HttpResponse | StreamingHttpResponse:
    """Stream a battle's latest turn; `Last-Event-ID` resumes behind that event."""
    generations = await run_query(_load, request, contest_id)
    offered = request.headers.get("Last-Event-ID", "")
    try:
        seen = Mark.parse(offered) if offered else Mark()
    except ValueError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    return blind_response(generations, seen, request.method)


def _load(request: HttpRequest, contest_id: uuid.UUID) -> list[Generation]:
    return get_battle_runs(current_actor(request), contest_id)
