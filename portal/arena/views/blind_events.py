"""The server-sent events of a battle's two answers, without a word on who writes them, for the person it belongs to."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_GET

from inference.events import Channel, FinishReason
from portal.accounts.actors import current_actor
from portal.arena.access import get_contest
from portal.arena.lockstep import Lockstep, Mark, Piece
from portal.arena.models import Kind
from portal.arena.queries import latest_replies
from portal.playground.events_view import RECONNECT_MS
from portal.playground.following import KEEP_ALIVE_S, follow, run_query
from portal.playground.models import Generation
from portal.playground.stream import EventType

# Slower than tokens come: the rhythm of a single one is not passed on.
RHYTHM_S: Final = 0.08
IDLE_S: Final = 1.0


@require_GET
async def blind_events(request: HttpRequest, contest_id: uuid.UUID) -> HttpResponse | StreamingHttpResponse:
    """Stream a battle's latest turn; `Last-Event-ID` resumes behind that event."""
    generations = await run_query(_load, request, contest_id)
    offered = request.headers.get("Last-Event-ID", "")
    try:
        seen = Mark.parse(offered) if offered else Mark()
    except ValueError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(_as_sse(generations, seen), content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    # nginx would hold the text back.
    response["X-Accel-Buffering"] = "no"
    return response


def _load(request: HttpRequest, contest_id: uuid.UUID) -> list[Generation]:
    contest = get_contest(current_actor(request), contest_id, Kind.BATTLE)
    replies = latest_replies(contest)
    if len(replies) != 2:
        raise Http404
    return [reply.generation for reply in replies]


async def _as_sse(generations: list[Generation], seen: Mark) -> AsyncIterator[bytes]:
    yield f"retry: {RECONNECT_MS}\n\n".encode()
    lockstep, news = Lockstep(seen), asyncio.Event()
    readers = [asyncio.create_task(_read(each, lockstep, side, news)) for side, each in enumerate(generations)]
    last_sent = time.monotonic()
    try:
        while not lockstep.is_over:
            for reader in readers:
                if reader.done():
                    reader.result()
            for piece in lockstep.release(time.monotonic()):
                yield _event(piece, lockstep.mark)
                last_sent = time.monotonic()
            if time.monotonic() - last_sent >= KEEP_ALIVE_S:
                yield b": still here\n\n"
                last_sent = time.monotonic()
            news.clear()
            await asyncio.sleep(RHYTHM_S)
            if not lockstep.has_more and not lockstep.is_over:
                await _wait(news)
        yield b"event: done\ndata: {}\n\n"
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _wait(news: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(news.wait(), IDLE_S)
    except TimeoutError:
        return


async def _read(generation: Generation, lockstep: Lockstep, side: int, news: asyncio.Event) -> None:
    if not generation.is_active:
        lockstep.begin(side, generation.attempt)
    async for event_id, event in follow(generation, with_position=False):
        if event_id is not None:
            lockstep.begin(side, event_id.attempt)
        if event is None:
            continue
        if event.type == EventType.RESET:
            lockstep.begin(side, event.data["attempt"])
            lockstep.restart(side)
        elif event.type == EventType.DELTA and event.data["channel"] == Channel.ANSWER:
            lockstep.write(side, event.data["text"])
        elif event.type == EventType.FINISHED:
            lockstep.end(side, flush=event.data["finish_reason"] == FinishReason.CANCELLED)
        elif event.type == EventType.FAILED:
            lockstep.end(side, flush=True)
        news.set()


def _event(piece: Piece, mark: Mark) -> bytes:
    data = json.dumps({"side": piece.side, "text": piece.text}, ensure_ascii=False, separators=(",", ":"))
    return f"id: {mark}\nevent: {piece.kind}\ndata: {data}\n\n".encode()
