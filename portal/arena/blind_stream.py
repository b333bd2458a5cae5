"""A battle's two answers as server-sent events, without a word on who writes them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from django.http import StreamingHttpResponse

from inference.events import Channel, FinishReason
from portal.arena.lockstep import Lockstep, Mark, Piece
from portal.playground.following import KEEP_ALIVE_S, follow
from portal.playground.models import Generation
from portal.playground.server_sent import FIRST_WORDS, KEEP_ALIVE, server_sent
from portal.playground.stream import EventType, StreamEvent

# Slower than tokens come: the rhythm of a single one is not passed on.
RHYTHM_S: Final = 0.08
IDLE_S: Final = 1.0


def blind_response(generations: Sequence[Generation], seen: Mark, method: str | None) -> StreamingHttpResponse:
    """What comes of the two runs, from left to right, behind what was `seen`."""
    return server_sent(_as_sse(generations, seen), method)


async def _as_sse(generations: Sequence[Generation], seen: Mark) -> AsyncIterator[bytes]:
    yield FIRST_WORDS
    lockstep, news = Lockstep(seen), asyncio.Event()
    readers = [asyncio.create_task(_read(each, lockstep, side, news)) for side, each in enumerate(generations)]
    last_sent = time.monotonic()
    was_reading = False
    try:
        while not lockstep.is_over:
            for reader in readers:
                if reader.done():
                    reader.result()
            if lockstep.is_reading and not was_reading:
                yield b"event: reading\ndata: {}\n\n"
            was_reading = lockstep.is_reading
            for piece in lockstep.release(time.monotonic()):
                yield _event(piece, lockstep.mark)
                last_sent = time.monotonic()
            if time.monotonic() - last_sent >= KEEP_ALIVE_S:
                yield KEEP_ALIVE
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
    async for told in follow(generation, with_position=False):
        for event_id, event in told:
            if event_id is not None:
                lockstep.begin(side, event_id.attempt)
            _note(event, lockstep, side)
        if told:
            news.set()


def _note(event: StreamEvent, lockstep: Lockstep, side: int) -> None:
    if event.type == EventType.RESET:
        lockstep.begin(side, event.data["attempt"])
        lockstep.restart(side)
    elif event.type == EventType.DELTA and event.data["channel"] == Channel.ANSWER:
        lockstep.write(side, event.data["text"])
    elif event.type == EventType.FINISHED:
        lockstep.end(side, flush=event.data["finish_reason"] == FinishReason.CANCELLED)
    elif event.type == EventType.FAILED:
        lockstep.end(side, flush=True)


def _event(piece: Piece, mark: Mark) -> bytes:
    data = json.dumps({"side": piece.side, "text": piece.text}, ensure_ascii=False, separators=(",", ":"))
    return f"id: {mark}\nevent: {piece.kind}\ndata: {data}\n\n".encode()
