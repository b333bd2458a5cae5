"""A crew carries orders out rightly whatever its helpers do: nobody waits for them, and nothing is taken from them."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from inference.compute_threads import helped_by_crew, run_shared
from inference.crew import Crew
from tests.inference.crew_orders import (
    WITHIN_S,
    Asked,
    computing,
    crew_of,
    lacking,
    opened,
    some_memory,
    staying,
    useless,
)
from tests.services.installation import eventually

pytestmark = pytest.mark.usefixtures("threads_let_go")

HELPERS = [1, 2, 3, 4, 5]


def _goes(of: weakref.ref[Any], crew: Crew) -> None:
    def is_gone() -> bool:
        crew.forget()
        gc.collect()
        return of() is None

    eventually(is_gone, WITHIN_S, "what a helper has left goes")


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
    asked, kept = Asked(10, holds=True, waits=True), some_memory()
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
    kept_by_first, kept_by_second = some_memory(), some_memory()
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
