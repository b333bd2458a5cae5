"""torch's threads carry out native orders once each, and are gone when they are let go; a crew's stay and sleep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.compute_threads import computing, helped_by_crew, let_go, run_shared, shared
from inference.crew import NUMBERS, end_share, take_share
from inference.engine import GenerationRequest, Message
from inference.events import Emission
from inference.linear_layers import NativeLinear
from inference.native_atomics import fetch_and_add
from inference.native_code import pointer
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.threads import crews_threads, in_a_thread
from tests.services.installation import eventually

pytestmark = pytest.mark.usefixtures("threads_let_go")

THREADS = 3


def _count_each_share(order_at: int, helper_at: int) -> None:
    order = pointer(order_at, np.int64(0))
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        fetch_and_add(order[NUMBERS] + 8 * share, 1)
        end_share(order_at, share)


counting = shared(_count_each_share)


def _end_no_share(order_at: int, helper_at: int) -> None:
    while take_share(order_at, helper_at) >= 0:
        pass


lacking = shared(_end_no_share)


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


def _multiply() -> None:
    torch.set_num_threads(THREADS)
    a = torch.ones(600, 600)
    assert float((a @ a)[0, 0]) == 600


@pytest.mark.parametrize("threads", [1, THREADS])
@pytest.mark.parametrize("shares", [0, 1, 1000])
def test_torchs_threads_carry_out_every_share_once(shares: int, threads: int) -> None:
    counts = np.zeros(shares, dtype=np.int64)
    late = run_shared(counting, (counts.ctypes.data,), shares, threads=threads)
    assert counts.tolist() == [1] * shares
    assert not late, "they are waited for"


@pytest.mark.parametrize("wanted", [True, False])
def test_shares_that_nobody_ends_are_an_error(wanted: bool) -> None:
    with helped_by_crew(wanted=wanted), pytest.raises(MemoryError):
        run_shared(lacking, (), 3, threads=2)


def test_a_crew_is_for_the_thread_and_the_block_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def crew_of(helpers: int) -> object:
        asked.append(helpers)
        raise ZeroDivisionError

    monkeypatch.setattr("inference.compute_threads._crew", crew_of)
    counts = np.zeros(5, dtype=np.int64)

    def order() -> None:
        run_shared(counting, (counts.ctypes.data,), 5, threads=3, keep=counts)

    with helped_by_crew(wanted=True):
        in_a_thread(order)
        with helped_by_crew(wanted=False):
            order()
        run_shared(counting, (counts.ctypes.data,), 5, threads=1)
        assert asked == []
        with pytest.raises(ZeroDivisionError):
            order()
    order()
    assert asked == [2]
    assert counts.tolist() == [4] * 5


def test_another_number_of_threads_is_another_crew_and_the_first_is_used_again() -> None:
    def order(threads: int) -> None:
        counts = np.zeros(50, dtype=np.int64)
        run_shared(counting, (counts.ctypes.data,), 50, threads=threads, keep=counts)
        assert (counts > 0).all()

    def act() -> None:
        with helped_by_crew(wanted=True):
            for threads in (2, 3, 4):
                order(threads)
            made = _settled_threads()
            for threads in (3, 2, 4, 2):
                order(threads)
                let_go()
            assert _settled_threads() == made

    in_a_thread(act)


def test_a_thread_that_lets_go_has_a_pool_no_longer_and_gets_one_again() -> None:
    def act() -> None:
        before = _settled_threads()
        for _ in range(2):
            _multiply()
            assert _threads() == before + THREADS - 1
            let_go()
            _wait_for_threads(before)

    in_a_thread(act)


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

    in_a_thread(act)


def test_an_engine_on_torchs_threads_holds_none_but_its_own_while_nobody_wants_anything(
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

    in_a_thread(act)


def test_an_engine_with_a_crew_has_as_many_threads_after_every_request_and_they_sleep(
    tiny_folder: FolderMaker, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.forward_choice.bfloat16_maker", lambda: NativeLinear)

    def ask(engine: TransformersEngine, name: str) -> None:
        params = SamplingParams(max_tokens=4, temperature=0)
        messages = (Message("user", "How many ships are on the sea? " * 20),)
        engine.submit(GenerationRequest(request_id=name, messages=messages, params=params))
        recorder.wait_for_end(name)

    def all_sleep() -> bool:
        return {state for state, _time in crews_threads().values()} == {"S"}

    def act() -> None:
        engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="bfloat16", threads=THREADS)
        ask(engine, "first")
        eventually(all_sleep, 60, "helpers that sleep")
        at_rest, helpers = _settled_threads(), crews_threads()
        assert len(helpers) >= THREADS - 1
        for number in range(3):
            ask(engine, f"r{number}")
            eventually(all_sleep, 60, "helpers that sleep")
            # A pool of torch's, where one was needed, goes as well.
            _wait_for_threads(at_rest)
            assert crews_threads().keys() == helpers.keys()
            before = crews_threads()
            time.sleep(0.3)
            assert crews_threads() == before, "no processor time"
        engine.close(0)
        _wait_for_threads(at_rest - 1)

    in_a_thread(act)
