"""Several answers to one request: all or none start, and their seeds follow from the one that was given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.sampling_params import MAX_SEED, SamplingParams
from portal.api.openai import choices
from portal.api.openai.choices import all_of, events_of, params_of_choices


@given(st.integers(0, MAX_SEED), st.integers(1, 8))
def test_seeds_differ_repeat_and_begin_with_the_given_one(seed: int, number: int) -> None:
    seeds = [each.seed for each in params_of_choices(SamplingParams(seed=seed), number)]
    assert seeds[0] == seed
    assert len(set(seeds)) == number
    assert seeds == [each.seed for each in params_of_choices(SamplingParams(seed=seed), 8)][:number]


def test_without_a_seed_each_run_draws_its_own() -> None:
    assert [each.seed for each in params_of_choices(SamplingParams(), 3)] == [None] * 3


def test_the_first_error_ends_the_others_and_is_raised_itself() -> None:
    ended: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("first")

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("waiting")

    with pytest.raises(ValueError, match="first"):
        asyncio.run(all_of([wait(), fail()]))
    assert ended == ["waiting"]


@pytest.mark.parametrize("reads", [0, 3, 100, 10_000])
def test_who_leaves_in_the_middle_ends_every_listener(reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    open_now: set[int] = set()

    async def endless(generation: Any, **options: Any) -> AsyncGenerator[list[tuple[None, int]], None]:
        open_now.add(generation)
        try:
            number = 0
            while True:
                yield [(None, number)]
                number += 1
                await asyncio.sleep(0)
        finally:
            open_now.discard(generation)

    monkeypatch.setattr(choices, "follow", endless)

    async def read_some() -> list[int]:
        seen = []
        events = events_of([1, 2, 3])  # type: ignore[list-item]
        try:
            while len(seen) < reads:
                seen.append((await anext(events))[0])
        finally:
            await events.aclose()
        return seen

    seen = asyncio.run(asyncio.wait_for(read_some(), 30))
    assert not open_now
    assert set(seen) <= {0, 1, 2}
    assert reads < 3 or len(set(seen)) == 3


def test_what_breaks_in_one_is_raised_behind_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaking(generation: Any, **options: Any) -> AsyncGenerator[list[tuple[None, str]], None]:
        yield [(None, "news")]
        if generation == 2:
            raise RuntimeError("lost")
        await asyncio.sleep(60)

    monkeypatch.setattr(choices, "follow", breaking)

    async def read() -> int:
        count = 0
        async for _event in events_of([1, 2]):  # type: ignore[list-item]
            count += 1
            if count > 2:
                break
        return count

    with pytest.raises(RuntimeError, match="lost"):
        asyncio.run(asyncio.wait_for(read(), 30))
