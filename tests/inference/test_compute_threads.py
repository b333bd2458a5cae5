"""torch's threads carry out native orders once each, and are gone when they are let go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.compute_threads import (
    NUMBERS,
    begin_share,
    computing,
    end_share,
    let_go,
    run_shared,
    shared,
    take_shares,
)
from inference.engine import GenerationRequest, Message
from inference.events import Emission
from inference.native_code import fetch_and_add, pointer
from inference.sampling_params import SamplingParams
from inference.transformers_engine import load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.services.installation import eventually

THREADS = 3


def _count_each_share(order: Any) -> None:
    counts, count = pointer(order[NUMBERS], order[0]), order[NUMBERS + 1]
    while True:
        share = take_shares(order, 1)
        if share >= count:
            return
        fetch_and_add(order[NUMBERS] + 8 * share, counts[share] + 1)


counting = shared(_count_each_share)


def _count_and_lack_memory(order: Any) -> None:
    begin_share(order)
    if take_shares(order, 1) > 0:
        end_share(order)


lacking = shared(_count_and_lack_memory)


@pytest.fixture(autouse=True)
def _threads_of_others() -> Iterator[None]:
    """torch keeps a number of threads for each thread, and gives new ones the number that was set last."""
    before = torch.get_num_threads()
    yield
    _in_a_thread(lambda: torch.set_num_threads(before))
    torch.set_num_threads(before)
    let_go()


def _threads() -> int:
    """Of this process, libgomp's among them."""
    return len(list(Path("/proc/self/task").iterdir()))


def _settled_threads() -> int:
    """A thread that has ended, of this test or of one before, is counted for a moment more."""
    looks = [_threads()]
    while len(set(looks[-20:])) > 1 or len(looks) < 20:
        time.sleep(0.01)
        looks.append(_threads())
    return looks[-1]


def _wait_for_threads(count: int) -> None:
    eventually(lambda: _threads() == count, 60, f"{count} threads")


def _in_a_thread(act: Callable[[], None]) -> None:
    """Raises what the act raises."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(act).result()


def _multiply() -> None:
    torch.set_num_threads(THREADS)
    a = torch.ones(600, 600)
    assert float((a @ a)[0, 0]) == 600


@pytest.mark.parametrize("threads", [1, THREADS])
@pytest.mark.parametrize("shares", [0, 1, 1000])
def test_every_share_is_carried_out_once(shares: int, threads: int) -> None:
    counts = np.zeros(shares, dtype=np.int64)
    run_shared(counting, (counts.ctypes.data, shares), threads=threads)
    assert counts.tolist() == [1] * shares


def test_a_thread_that_does_not_end_its_part_is_an_error() -> None:
    with pytest.raises(MemoryError):
        run_shared(lacking, (), threads=2)


def test_a_thread_that_lets_go_has_a_pool_no_longer_and_gets_one_again() -> None:
    def act() -> None:
        before = _settled_threads()
        for _ in range(2):
            _multiply()
            assert _threads() == before + THREADS - 1
            let_go()
            _wait_for_threads(before)

    _in_a_thread(act)


def test_what_is_computed_for_once_leaves_no_threads_even_when_it_fails() -> None:
    @computing()
    def compute_and_fail() -> None:
        _multiply()
        raise ZeroDivisionError

    def act() -> None:
        before = _settled_threads()
        with pytest.raises(ZeroDivisionError):
            compute_and_fail()
        _wait_for_threads(before)

    _in_a_thread(act)


def test_an_engine_holds_no_threads_but_its_own_while_nobody_wants_anything(
    tiny_folder: FolderMaker, recorder: Recorder
) -> None:
    folder, seen = tiny_folder("llama"), []

    def listen(emissions: Sequence[Emission]) -> None:
        seen.append(_threads())
        recorder(emissions)

    def act() -> None:
        engine = load_engine(folder, listener=listen, dtype="float32", threads=THREADS)
        at_rest = _settled_threads()
        for number in range(2):
            seen.clear()
            params = SamplingParams(max_tokens=4, temperature=0)
            messages = (Message("user", "How many ships are on the sea? " * 20),)
            engine.submit(GenerationRequest(request_id=f"r{number}", messages=messages, params=params))
            recorder.wait_for_end(f"r{number}")
            assert max(seen) == at_rest + THREADS - 1
            _wait_for_threads(at_rest)
        engine.close(0)
        _wait_for_threads(at_rest - 1)

    _in_a_thread(act)
