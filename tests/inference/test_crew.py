"""A crew carries orders out rightly whatever its helpers do: nobody waits for them, and nothing is taken from them."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numba import types
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForCausalLM

from inference import compute_threads, decode_kernels, product_kernel
from inference.compute_threads import helped_by_crew, let_go, run_shared, shared
from inference.crew import _DONE, _FLAGS, NUMBERS, OPENING, Crew, end_share, take_share
from inference.fused_decoder import FusedDecoder
from inference.key_value_slots import KeyValueSlots
from inference.linear_layers import NativeLinear
from inference.native_atomics import fetch_and_add, load, mark, store
from inference.native_code import pointer
from inference.step_plan import EARLY, Span
from tests.inference.conftest import REPOSITORY, FolderMaker
from tests.services.installation import eventually

HELPERS = [1, 2, 3, 4, 5]
SCHED_IDLE = 5
WITHIN_S = 120
LOOKS = WITHIN_S * 10_000

_whole = types.int64
_usleep: Any = types.ExternalFunction("usleep", types.int32(types.uint32))

# What the orders here read: where each share's count is, and what comes out of it; what helpers and the lead tell each
# other; whether the lead waits until a helper has come.
_COUNTS, _OUT, _SIGNALS, _WAITS = range(NUMBERS, NUMBERS + 4)
# Signals: how many helpers have come, and whether the first to come may go on.
_CAME, _MAY_GO_ON = 0, 8


def _compute(order_at: int, helper_at: int) -> None:
    """Of the helpers that come, the first stays in the middle of a share until it may go on."""
    order = pointer(order_at, np.int64(0))
    out, signals_at = pointer(order[_OUT], np.int64(0)), order[_SIGNALS]
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        if signals_at != 0 and helper_at > 0 and fetch_and_add(signals_at + _CAME, 1) == 0:
            while load(signals_at + _MAY_GO_ON) == 0:
                _usleep(np.uint32(100))
        waited = 0
        # For so long alone: what never comes fails the test, and must not hang it.
        while (
            signals_at != 0
            and order[_WAITS] != 0
            and helper_at == 0
            and load(signals_at + _CAME) == 0
            and waited < LOOKS
        ):
            _usleep(np.uint32(100))
            waited += 1
        fetch_and_add(order[_COUNTS] + 8 * share, 1)
        out[share] = share * share + 1
        end_share(order_at, share)


computing = shared(_compute)


def _compute_what_was_opened(order_at: int, helper_at: int) -> None:
    """Of each share: how many shares were opened before it, and by whom."""
    order = pointer(order_at, np.int64(0))
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        if helper_at == OPENING:
            fetch_and_add(order[_COUNTS], 1)
            continue
        store(order[_OUT] + 8 * share, load(order[_COUNTS]))
        end_share(order_at, share)


opened = shared(_compute_what_was_opened)


def _lack_memory(order_at: int, helper_at: int) -> None:
    """The lead gets none, for the opening or for its shares; helpers, which might say so much later, try nothing."""
    order = pointer(order_at, np.int64(0))
    if order[_WAITS] == 0 and helper_at > 0:
        return
    is_short = (order[_WAITS] == -1 and helper_at == OPENING) or (order[_WAITS] == 0 and helper_at == 0)
    room = np.empty(2**60 if is_short else 1, dtype=np.int8)
    room[0] = 1
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        if helper_at != OPENING:
            fetch_and_add(order[_COUNTS] + 8 * share, room[0])
            end_share(order_at, share)


lacking = shared(_lack_memory)


def _come_without_memory(order_at: int, helper_at: int) -> None:
    """Helpers come and can do nothing; the lead begins when one has been there."""
    order = pointer(order_at, np.int64(0))
    if helper_at > 0:
        fetch_and_add(order[_SIGNALS] + _CAME, 1)
        return
    looks = LOOKS
    while looks > 0 and load(order[_SIGNALS] + _CAME) == 0:
        _usleep(np.uint32(100))
        looks -= 1
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        fetch_and_add(order[_COUNTS] + 8 * share, 1)
        end_share(order_at, share)


useless = shared(_come_without_memory)


def _mark_and_stay(order_at: int, helper_at: int) -> None:
    """A helper loses its core in the middle of saying that a share is carried out."""
    order = pointer(order_at, np.int64(0))
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        fetch_and_add(order[_COUNTS] + 8 * share, 1)
        if helper_at > 0:
            mark(order[_FLAGS] + share)
            fetch_and_add(order[_SIGNALS] + _CAME, 1)
            while load(order[_SIGNALS] + _MAY_GO_ON) == 0:
                _usleep(np.uint32(100))
            fetch_and_add(order_at + 8 * _DONE, 1)
        else:
            while load(order[_SIGNALS] + _CAME) == 0:
                _usleep(np.uint32(100))
            end_share(order_at, share)


staying = shared(_mark_and_stay)

crew_of = cache(Crew)


class Asked:
    """An order's memory."""

    def __init__(self, shares: int, *, holds: bool = False, waits: bool = False) -> None:
        self.shares = shares
        self.counts, self.out = np.zeros((2, max(1, shares)), dtype=np.int64)
        self.signals = np.array([0, 0 if holds else 1], dtype=np.int64)
        self.numbers = [*(each.ctypes.data for each in (self.counts, self.out, self.signals)), int(waits)]

    def run(self, crew: Crew, function: Any = computing, *, keep: object = None, has_opening: bool = False) -> bool:
        # By default what it looks at is kept as long as the order itself.
        return crew.run(function.address, self.numbers, self.shares, has_opening=has_opening, keep=(self, keep))

    def let_go_on(self) -> None:
        self.signals[1] = 1

    @property
    def came(self) -> bool:
        return bool(self.signals[0])

    def is_right(self) -> bool:
        right = [share * share + 1 for share in range(self.shares)]
        return bool(self.out[: self.shares].tolist() == right and (self.counts[: self.shares] > 0).all())


@pytest.fixture(autouse=True)
def _threads_of_others() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    let_go()


def _idle_class() -> set[int]:
    """The threads of this process that get a core when nobody else wants it."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            if os.sched_getscheduler(int(task.name)) == SCHED_IDLE:
                found.add(int(task.name))
        except ProcessLookupError:
            pass
    return found


def _made(helpers: int) -> tuple[Crew, list[int]]:
    """A new crew, and its helpers' threads."""
    before = _idle_class()
    crew = Crew(helpers)
    eventually(lambda: len(_idle_class() - before) == helpers, WITHIN_S, "helpers of the idle class")
    return crew, sorted(_idle_class() - before)


def _is_asleep(thread: int) -> bool:
    return Path(f"/proc/self/task/{thread}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def _processor_ns(thread: int) -> int:
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])


def _goes(of: weakref.ref[Any], crew: Crew) -> None:
    def is_gone() -> bool:
        crew.forget()
        gc.collect()
        return of() is None

    eventually(is_gone, WITHIN_S, "what a helper has left goes")


def _kept() -> NDArray[np.int64]:
    return np.zeros(4, dtype=np.int64)


@pytest.mark.parametrize("helpers", HELPERS)
@pytest.mark.parametrize("shares", [0, 1, 2, 7, 1000])
def test_every_share_is_carried_out_and_comes_out_right(shares: int, helpers: int) -> None:
    for _ in range(20):
        asked = Asked(shares)
        asked.run(crew_of(helpers))
        assert asked.is_right()


def test_helpers_take_shares() -> None:
    """Else all that follows would say nothing."""
    for helpers in HELPERS:
        asked = Asked(100, waits=True)
        asked.run(crew_of(helpers))
        assert asked.came
        assert asked.is_right()


def test_many_orders_in_a_row_from_several_leads_at_once() -> None:
    def lead(number: int) -> int:
        right = 0
        with helped_by_crew(wanted=True):
            for index in range(600):
                asked = Asked((7 * index + number) % 40)
                run_shared(computing, asked.numbers, asked.shares, threads=2 + number % 3, keep=asked)
                right += asked.is_right()
        return right

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(pool.map(lead, range(4))) == [600] * 4


def test_a_helper_in_the_middle_of_a_share_is_left_behind_and_loses_nothing_that_it_looks_at() -> None:
    crew = crew_of(1)
    asked, kept = Asked(10, holds=True, waits=True), _kept()
    seen = weakref.ref(kept)

    assert asked.run(crew, keep=kept), "it was left behind"
    assert asked.is_right()
    assert asked.counts.max() == 1, "the held one has not ended its share, which was carried out by the lead"
    del kept
    for _ in range(5):
        later = Asked(10, holds=True)
        assert not later.run(crew), "who is behind is not waited for again"
        assert later.is_right()
        assert not later.came
    gc.collect()
    assert seen() is not None

    asked.let_go_on()
    _goes(seen, crew)
    assert asked.is_right()
    assert sorted(asked.counts.tolist()) == [1] * 9 + [2], "it has carried out its share, too"
    again = Asked(10, waits=True)
    again.run(crew)
    assert again.came
    assert again.is_right()


def test_a_share_that_a_late_helper_has_marked_and_not_counted_is_carried_out() -> None:
    asked = Asked(10, holds=True)
    assert asked.run(crew_of(1), staying)
    assert asked.counts.tolist() == [1] * 10
    asked.let_go_on()


def test_what_one_helper_has_left_goes_while_another_is_held_elsewhere() -> None:
    crew = crew_of(2)
    first, second = Asked(10, holds=True, waits=True), Asked(10, holds=True, waits=True)
    kept_by_first, kept_by_second = _kept(), _kept()
    of_first, of_second = weakref.ref(kept_by_first), weakref.ref(kept_by_second)
    assert first.run(crew, keep=kept_by_first)
    assert second.run(crew, keep=kept_by_second)
    assert second.is_right()
    del kept_by_first, kept_by_second
    assert of_second() is not None
    second.let_go_on()
    _goes(of_second, crew)
    assert of_first() is not None
    first.let_go_on()
    _goes(of_first, crew)


def test_a_helper_sleeps_while_there_are_no_orders_and_wakes_for_the_next() -> None:
    crew, (thread,) = _made(1)
    for _ in range(3):
        asked = Asked(5, waits=True)
        asked.run(crew)
        assert asked.came
        eventually(lambda: _is_asleep(thread), WITHIN_S, "a helper that sleeps")
        before = _processor_ns(thread)
        for _ in range(20):
            time.sleep(0.01)
            assert _is_asleep(thread)
        assert _processor_ns(thread) == before


def test_helpers_get_cores_that_nobody_else_wants_and_no_signals() -> None:
    _crew, threads = _made(2)
    for thread in threads:
        status = Path(f"/proc/self/task/{thread}/status").read_text()
        blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk:")).split()[1], 16)
        assert all(blocked >> (number - 1) & 1 for number in (1, 2, 14, 15, 17))


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("wanted", [True, False])
def test_an_opening_comes_before_every_share(threads: int, wanted: bool) -> None:
    for _ in range(200):
        asked = Asked(30)
        with helped_by_crew(wanted=wanted):
            run_shared(opened, asked.numbers, 30, threads=threads, has_opening=True, keep=asked)
        assert asked.counts[0] == 30
        assert asked.out.tolist() == [30] * 30


# numba says on standard error which memory it lacks.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("of_opening", [True, False])
def test_memory_that_lacks_is_an_error_and_what_is_not_opened_is_not_carried_out(
    threads: int, wanted: bool, of_opening: bool
) -> None:
    asked = Asked(10)
    asked.numbers[-1] = -1 if of_opening else 0
    with helped_by_crew(wanted=wanted), pytest.raises(MemoryError):
        run_shared(lacking, asked.numbers, 10, threads=threads, has_opening=of_opening, keep=asked)
    assert asked.counts.tolist() == [0] * 10


def test_helpers_without_memory_cost_nothing() -> None:
    asked = Asked(10)
    asked.run(crew_of(2), useless)
    assert asked.came
    assert asked.counts.tolist() == [1] * 10


def _in_a_thread(act: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(act).result()


def test_a_thread_that_ends_gives_its_crew_back_whole() -> None:
    """With a helper that is still in the middle of an order."""

    def begin() -> tuple[Asked, weakref.ref[Any]]:
        asked, kept = Asked(10, holds=True, waits=True), _kept()
        with helped_by_crew(wanted=True):
            assert run_shared(computing, asked.numbers, 10, threads=8, keep=(asked, kept))
        return asked, weakref.ref(kept)

    def go_on() -> bool:
        asked = Asked(10, waits=True)
        with helped_by_crew(wanted=True):
            run_shared(computing, asked.numbers, 10, threads=8, keep=asked)
        return asked.is_right()

    others = compute_threads._idle_crews.pop(7, [])
    before = _idle_class()
    asked, kept = _in_a_thread(begin)
    gc.collect()
    eventually(lambda: len(_idle_class() - before) == 7, WITHIN_S, "helpers of the idle class")
    helpers = _idle_class()
    assert kept() is not None
    asked.let_go_on()
    for _ in range(3):
        assert _in_a_thread(go_on)
    eventually(lambda: asked.counts.max() == 2, WITHIN_S, "the held one ends its share")
    assert _in_a_thread(go_on)
    assert _idle_class() == helpers, "no new ones"
    compute_threads._idle_crews[7] += others


def test_what_an_idle_crew_kept_goes_once_its_helper_is_back() -> None:
    def begin() -> tuple[Asked, weakref.ref[Any]]:
        asked, kept = Asked(10, holds=True, waits=True), _kept()
        with helped_by_crew(wanted=True):
            assert run_shared(computing, asked.numbers, 10, threads=2, keep=(asked.numbers, kept))
        return asked, weakref.ref(kept)

    asked, kept = _in_a_thread(begin)
    let_go()
    gc.collect()
    assert kept() is not None, "its helper is still out"
    asked.let_go_on()

    def is_gone() -> bool:
        let_go()
        return kept() is None

    eventually(is_gone, WITHIN_S, "what was kept goes without another order")


def test_fewer_threads_than_wanted_are_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Limited:
        """A system that has no room for a third thread."""

        begun = 0

        def __init__(self, name: str | None) -> None:
            self._own = own(name)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._own, name)

        def pthread_create(self, *arguments: Any) -> int:
            Limited.begun += 1
            return 11 if Limited.begun > 2 else int(self._own.pthread_create(*arguments))

    own = ctypes.CDLL
    with monkeypatch.context() as limits:
        limits.setattr("inference.crew.ctypes.CDLL", Limited)
        crew = Crew(4)
    assert crew.helpers == 2
    assert "3 threads to compute with instead of 5" in caplog.text
    asked = Asked(50, waits=True)
    asked.run(crew)
    assert asked.came
    assert asked.is_right()


def _ended(child: int) -> tuple[int, int] | None:
    found, status = os.waitpid(child, os.WNOHANG)
    return (found, status) if found else None


def test_a_forked_process_makes_a_crew_of_its_own() -> None:
    def order() -> bool:
        asked = Asked(10, waits=True)
        with helped_by_crew(wanted=True):
            run_shared(computing, asked.numbers, 10, threads=2, keep=asked)
        return asked.came and asked.is_right()

    assert order()
    child = os.fork()
    if child == 0:
        # Whatever comes of it, this process is not to go on with the tests.
        is_right = False
        try:
            is_right = order()
        finally:
            os._exit(0 if is_right else 1)
    _child, status = eventually(lambda: _ended(child), WITHIN_S, "the forked process ends")
    assert status == 0


EXITING = """
import numpy as np
from inference.crew import Crew
from tests.inference.test_crew import Asked, reading
crew, asked, much = Crew(1), Asked(10, holds=True, waits=True), np.ones(2**24, dtype=np.int64)
asked.numbers[1] = much.ctypes.data
assert asked.run(crew, reading, keep=much)
del much
"""


def _read_for_good(order_at: int, helper_at: int) -> None:
    """A helper never ends its share, and reads all that there is meanwhile."""
    order = pointer(order_at, np.int64(0))
    much = pointer(order[_OUT], np.int64(0))
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        while helper_at > 0:
            for index in range(0, 2**24, 512):
                fetch_and_add(order[_SIGNALS] + _CAME, much[index])
        while load(order[_SIGNALS] + _CAME) == 0:
            _usleep(np.uint32(100))
        end_share(order_at, share)


reading = shared(_read_for_good)


def test_a_process_ends_well_while_a_helper_is_at_work() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", EXITING], cwd=REPOSITORY, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def _decoder(folder: Path) -> tuple[FusedDecoder, KeyValueSlots]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    slots = KeyValueSlots(budget=8 * 512, longest=512)
    return FusedDecoder(model, slots, NativeLinear), slots


@torch.inference_mode()
def _greedy(decoder: FusedDecoder, slots: KeyValueSlots, prompts: Sequence[Sequence[int]], steps: int) -> list[Tensor]:
    """Of all requests in one batch."""
    places = [slots.take(len(prompt) + steps) for prompt in prompts]
    spans = [Span(place, 0, prompt) for place, prompt in zip(places, prompts, strict=True) if place is not None]
    came_out = []
    for _ in range(steps):
        came_out.append(decoder.logits(spans).clone())
        tokens = came_out[-1].argmax(dim=-1).tolist()
        spans = [Span(span.place, span.end, [token]) for span, token in zip(spans, tokens, strict=True)]
    for place in places:
        assert place is not None
        slots.give_back(place, wipe=True)
    return came_out


@pytest.fixture
def _full_load() -> Iterator[None]:
    """A process per core that computes, and ends by itself whatever becomes of this one."""
    program = f"import os, time\nos.nice(19)\nend = time.monotonic() + {WITHIN_S}\nwhile time.monotonic() < end: pass"
    with ExitStack() as running:
        for _ in range(os.cpu_count() or 1):
            process = running.enter_context(subprocess.Popen([sys.executable, "-c", program]))
            running.callback(process.kill)
        yield


@pytest.mark.usefixtures("_full_load")
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_tokens_are_those_of_a_single_thread_while_other_processes_have_all_cores(
    tiny_folder: FolderMaker, architecture: str
) -> None:
    decoder, slots = _decoder(tiny_folder(architecture))
    prompts = [[(7 * index + length) % 200 for index in range(length)] for length in (3, 50, 120)]
    torch.set_num_threads(1)
    alone = _greedy(decoder, slots, prompts, 24)
    torch.set_num_threads(4)
    for _ in range(3):
        helped = _greedy(decoder, slots, prompts, 24)
        assert all(torch.equal(one, other) for one, other in zip(helped, alone, strict=True))


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_what_a_late_helper_reads_or_writes_is_changed_by_nobody(
    tiny_folder: FolderMaker, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would take wrong numbers, or put its own in the place of newer ones."""
    written: list[tuple[Tensor, Tensor]] = []

    def and_all_are_late(*arguments: Any, keep: Any = None, **options: Any) -> bool:
        run_shared(*arguments, keep=keep, **options)
        # Rows are copied before a helper looks whether it is late, and in the store it reads the first positions only.
        states_or_out = {5: keep[-1:] if keep else (), 6: keep[:3] if keep else (), 2: keep or ()}
        written.extend((each, each.clone()) for each in states_or_out[len(keep) if keep else 2])
        return True

    decoder, slots = _decoder(tiny_folder(architecture))
    monkeypatch.setattr(product_kernel, "run_shared", and_all_are_late)
    monkeypatch.setattr(decode_kernels, "run_shared", and_all_are_late)
    prompts = [[(7 * index + length) % 200 for index in range(length)] for length in (3, EARLY + 60)]
    _greedy(decoder, slots, prompts, 3)
    assert len(written) > 50
    assert all(torch.equal(now.nan_to_num(), then.nan_to_num()) for now, then in written)
