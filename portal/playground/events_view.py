"""The server-sent events of one generation: from the stream while there is one, from the row when there is not."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_GET

from portal.accounts.actors import Actor, current_actor
from portal.playground import stream
from portal.playground.access import get_generation
from portal.playground.fanout import Subscription, stream_fanout
from portal.playground.models import Generation, State
from portal.playground.queue_position import queue_position
from portal.playground.stream import BEGINNING, TERMINAL_TYPES, EventType, StreamEvent, StreamId

# How long a silent stream is waited for before the row is asked.
ROW_INTERVAL_S: Final = 1.0
# The stream's last events are written just after the row.
LAST_LOOK_S: Final = 0.25
KEEP_ALIVE_S: Final = 15.0
RECONNECT_MS: Final = 1000


P = ParamSpec("P")
R = TypeVar("R")


@require_GET
async def events(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse | StreamingHttpResponse:
    """Stream a generation to its owner; `Last-Event-ID` resumes behind that event."""
    generation = await _from_database(_load, request, generation_id)
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


async def _from_database(query: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a query and give its connection back: a viewer who waits must not keep one."""

    def run() -> R:
        try:
            return query(*args, **kwargs)
        finally:
            close_old_connections()

    return await sync_to_async(run)()


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


async def follow(
    generation: Generation, after: StreamId = BEGINNING
) -> AsyncIterator[tuple[StreamId | None, StreamEvent | None]]:
    """A generation's events behind `after`, each with its id, up to and including the terminal one.

    Events that stand in no stream (queued, reset, and all that come from the row) have no id. (None, None) is a
    moment without news, so that the caller can keep its connection alive.
    """
    fanout = stream_fanout()
    subscription = await fanout.subscribe(generation.pk, after)
    shown = _Shown(after)
    try:
        async for item in _follow_subscription(generation, subscription, shown):
            yield item
    finally:
        fanout.unsubscribe(generation.pk, subscription)


async def _follow_subscription(
    generation: Generation, subscription: Subscription, shown: _Shown
) -> AsyncIterator[tuple[StreamId | None, StreamEvent | None]]:
    row = generation
    row_was_final = False
    position = await _from_database(_queued_event, row) if row.state == State.QUEUED else None
    if position is not None:
        yield None, position
    while True:
        arrived = await subscription.next(LAST_LOOK_S if row_was_final else ROW_INTERVAL_S)
        for entry_id, event in arrived:
            if shown.begins_anew(entry_id):
                yield None, stream.reset(entry_id.attempt)
            shown.take(entry_id, event)
            yield entry_id, event
            if event.type in TERMINAL_TYPES:
                return
        if arrived:
            # While the stream speaks, there is nothing to ask the row.
            row_was_final = False
            continue
        if row_was_final:
            for event in shown.completed_from(row):
                yield None, event
            return
        row = await _from_database(_reload, row)
        row_was_final = not row.is_active
        news = await _from_database(_queued_event, row) if row.state == State.QUEUED else None
        yield None, news if news != position else None
        position = news


def _reload(generation: Generation) -> Generation:
    unused = ("messages", "params", "rendered_prompt", "provenance")
    return Generation.objects.select_related("variant__card").defer(*unused).get(pk=generation.pk)


def _queued_event(generation: Generation) -> StreamEvent:
    place = queue_position(generation)
    return stream.queued(place.position, place.eta_s)


@dataclass(slots=True)
class _Shown:
    """What this viewer has on the screen, as far as this connection knows."""

    resumed_after: StreamId
    attempt: int = field(init=False)
    text: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.attempt = self.resumed_after.attempt
        self.text = {"answer": "", "thinking": ""}

    def begins_anew(self, entry_id: StreamId) -> bool:
        return 0 < self.attempt < entry_id.attempt

    def take(self, entry_id: StreamId, event: StreamEvent) -> None:
        if entry_id.attempt > self.attempt:
            self.attempt = entry_id.attempt
            self.resumed_after = BEGINNING
            self.text = {"answer": "", "thinking": ""}
        if event.type == EventType.DELTA:
            self.text[event.data["channel"]] += event.data["text"]

    def completed_from(self, row: Generation) -> list[StreamEvent]:
        """The events that turn what is shown into what the row says, and end the stream."""
        whole = {"thinking": row.thinking, "answer": row.output}
        is_known = self.resumed_after == BEGINNING
        events: list[StreamEvent] = []
        if not is_known or not all(whole[channel].startswith(self.text[channel]) for channel in whole):
            events.append(stream.reset(row.attempt))
            self.text = {"answer": "", "thinking": ""}
        for channel, text in whole.items():
            if rest := text[len(self.text[channel]) :]:
                events.append(StreamEvent(EventType.DELTA, {"text": rest, "channel": channel, "tokens": []}))
        if row.state == State.FAILED:
            events.append(stream.failed(row.error_code, row.error_message))
        else:
            events.append(stream.finished(row.finish_reason, row.usage, row.timings))
        return events
