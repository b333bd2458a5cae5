"""Several answers to one request (`n`): their seeds, their events as one stream, and their ends together."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, TypeVar

from inference.sampling_params import SamplingParams
from portal.playground.following import follow
from portal.playground.models import Generation
from portal.playground.stream import StreamEvent

Result = TypeVar("Result")
Told = tuple[int, list[StreamEvent]]

# Of the derived ones; they survive JavaScript, as those do that are drawn.
_SEED_BYTES: Final = 6
# Events that wait to be sent: a client that reads slowly holds the followers back, and not memory.
_MOST_WAITING: Final = 64


def params_of_choices(params: SamplingParams, choices: int) -> list[SamplingParams]:
    """The first choice has the seed that was given, so that it is the answer of a request for one; the others
    have seeds that follow from it. Without a seed each run draws its own.
    """
    if params.seed is None:
        return [params] * choices
    return [params, *(replace(params, seed=_derived(params.seed, index)) for index in range(1, choices))]


def _derived(seed: int, index: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=_SEED_BYTES).digest())


async def all_of(works: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """What each comes to. The first error ends the others and is raised itself."""
    if len(works) == 1:
        return [await works[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except* Exception as errors:  # noqa: BLE001 - raised again, alone
        error = errors
    else:
        return [task.result() for task in tasks]
    raise error.exceptions[0]


async def events_of(generations: Sequence[Generation]) -> AsyncGenerator[Told, None]:
    """Every run's events as they come, with the place of the run; no events are a moment without news."""
    if len(generations) == 1:
        async with aclosing(follow(generations[0], with_position=False)) as followed:
            async for news in followed:
                yield 0, [event for _id, event in news]
        return
    waiting: asyncio.Queue[Told | Exception | None] = asyncio.Queue(_MOST_WAITING)

    async def listen(index: int, generation: Generation) -> None:
        async with aclosing(follow(generation, with_position=False)) as followed:
            async for news in followed:
                await waiting.put((index, [event for _id, event in news]))

    async def listen_to_all() -> None:
        end: Exception | None = None
        try:
            await all_of([listen(index, generation) for index, generation in enumerate(generations)])
        except Exception as error:  # noqa: BLE001 - raised again where the events are read
            end = error
        await waiting.put(end)

    listening = asyncio.create_task(listen_to_all())
    try:
        while (told := await waiting.get()) is not None:
            if isinstance(told, Exception):
                raise told
            yield told
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
