"""A crew's helpers are threads: they sleep and wake, pass from who ends to who comes, and hinder no fork or exit."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from inference import compute_threads
from inference.compute_threads import helped_by_crew, let_go, run_shared
from inference.crew import Crew
from tests.inference.conftest import REPOSITORY
from tests.inference.crew_orders import WITHIN_S, Asked, computing, some_memory
from tests.inference.threads import crews_threads, in_a_thread
from tests.services.installation import eventually

pytestmark = pytest.mark.usefixtures("threads_let_go")


def _made(helpers: int) -> tuple[Crew, list[int]]:
    """A new crew, and its helpers' threads."""
    before = crews_threads().keys()
    crew = Crew(helpers)
    eventually(lambda: len(crews_threads().keys() - before) == helpers, WITHIN_S, "helpers of the idle class")
    return crew, sorted(crews_threads().keys() - before)


def _is_asleep(thread: int) -> bool:
    state, _processor_ns = crews_threads()[thread]
    return state == "S"


def test_a_helper_sleeps_while_there_are_no_orders_and_wakes_for_the_next() -> None:
    crew, (thread,) = _made(1)
    for _ in range(3):
        asked = Asked(5, waits=True)
        asked.run(crew)
        assert asked.came
        eventually(lambda: _is_asleep(thread), WITHIN_S, "a helper that sleeps")
        before = crews_threads()[thread]
        for _ in range(20):
            time.sleep(0.01)
            assert _is_asleep(thread)
        assert crews_threads()[thread] == before


def test_helpers_get_cores_that_nobody_else_wants_and_no_signals() -> None:
    _crew, threads = _made(2)
    for thread in threads:
        status = Path(f"/proc/self/task/{thread}/status").read_text()
        blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk:")).split()[1], 16)
        assert all(blocked >> (number - 1) & 1 for number in (1, 2, 14, 15, 17))


def test_a_thread_that_ends_gives_its_crew_back_whole() -> None:
    """With a helper that is still in the middle of an order."""

    def begin() -> tuple[Asked, weakref.ref[Any]]:
        asked, kept = Asked(10, holds=True, waits=True), some_memory()
        with helped_by_crew(wanted=True):
            assert run_shared(computing, asked.numbers, 10, threads=8, keep=(asked, kept))
        return asked, weakref.ref(kept)

    def go_on() -> bool:
        asked = Asked(10, waits=True)
        with helped_by_crew(wanted=True):
            run_shared(computing, asked.numbers, 10, threads=8, keep=asked)
        return asked.is_right()

    others = compute_threads._idle_crews.pop(7, [])
    before = crews_threads().keys()
    asked, kept = in_a_thread(begin)
    gc.collect()
    eventually(lambda: len(crews_threads().keys() - before) == 7, WITHIN_S, "helpers of the idle class")
    helpers = crews_threads().keys()
    assert kept() is not None
    asked.let_go_on()
    for _ in range(3):
        assert in_a_thread(go_on)
    eventually(lambda: asked.counts.max() == 2, WITHIN_S, "the held one ends its share")
    assert in_a_thread(go_on)
    assert crews_threads().keys() == helpers, "no new ones"
    compute_threads._idle_crews[7] += others


def test_what_an_idle_crew_kept_goes_once_its_helper_is_back() -> None:
    def begin() -> tuple[Asked, weakref.ref[Any]]:
        asked, kept = Asked(10, holds=True, waits=True), some_memory()
        with helped_by_crew(wanted=True):
            assert run_shared(computing, asked.numbers, 10, threads=2, keep=(asked.numbers, kept))
        return asked, weakref.ref(kept)

    asked, kept = in_a_thread(begin)
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
from tests.inference.crew_orders import Asked, reading
crew, asked, much = Crew(1), Asked(10, holds=True, waits=True), np.ones(2**24, dtype=np.int64)
asked.numbers[1] = much.ctypes.data
assert asked.run(crew, reading, keep=much)
del much
"""


def test_a_process_ends_well_while_a_helper_is_at_work() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", EXITING], cwd=REPOSITORY, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
