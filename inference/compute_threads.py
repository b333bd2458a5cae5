"""The threads that native functions run on, and letting torch's go when nothing is to be computed.

Most variants are computed by native functions alone, which a crew carries out. Where torch's own products take turns
with them (int4, bfloat16 tiles), a crew would fight with torch's threads for the cores, so these run the functions too:
they are libgomp's, which torch's Linux builds bring, and `GOMP_parallel` is what compilers call
(https://gcc.gnu.org/onlinedocs/libgomp/Implementing-PARALLEL-construct.html).

libgomp keeps a pool for every thread that has asked for work, and once its threads outnumber the cores none of them
spins while it waits: each of the hundred products of a step then begins with waking a core. An engine that was loaded
in one thread and steps in another took 33 ms a step instead of 19 on 2 cores, in int4 18 instead of 9.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from numba import types

from inference.crew import OPENING, SHARES_SIGNATURE, Crew, order_of, require_done
from inference.native_atomics import call
from inference.native_code import callback

# https://www.openmp.org/spec-html/5.0/openmpsu168.html: the soft kind frees what can be had again at once.
_PAUSE_SOFT: Final = 1
_CALL: Final = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)


def _entry(name: str, *arguments: Any) -> Any:
    try:
        function = ctypes.CDLL(None)[name]
    except (AttributeError, OSError, TypeError):  # another OpenMP, or a system where programs have no common names
        return None
    function.argtypes = arguments
    return function


_PARALLEL: Final = _entry("GOMP_parallel", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
_PAUSE: Final = _entry("omp_pause_resource", ctypes.c_int, ctypes.c_int)
_HOST: Final = _entry("omp_get_initial_device")


def can_share() -> bool:
    """Whether native functions can have threads: a system as Linux is, with torch's threads."""
    return _PARALLEL is not None


def shared(function: Callable[[Any, Any], None]) -> Any:
    """Compiles what each thread does with an order: it gets the addresses of the order and of itself as a helper."""
    return callback(SHARES_SIGNATURE)(function)


class _Lent(threading.local):
    """The calling thread's crew, and whether it is to be used."""

    crew: Crew | None = None
    is_wanted = False

    def __del__(self) -> None:
        if self.crew is not None:
            _idle_crews.append(self.crew)


# A crew's memory is looked at for good, so crews are lent, one to a thread, and never end.
_idle_crews: Final[list[Crew]] = []
_lent: Final = _Lent()


@contextmanager
def helped_by_crew(*, wanted: bool) -> Iterator[None]:
    """Whether the calling thread's shared functions have a crew, or torch's threads."""
    before, _lent.is_wanted = _lent.is_wanted, wanted
    try:
        yield
    finally:
        _lent.is_wanted = before


def _crew(helpers: int) -> Crew:
    if _lent.crew is None or _lent.crew.helpers != helpers:
        _give_crew_back()
        fitting = [crew for crew in _idle_crews if crew.helpers == helpers]
        if fitting:
            _idle_crews.remove(fitting[0])
        _lent.crew = fitting[0] if fitting else Crew(helpers)
    return _lent.crew


def _give_crew_back() -> None:
    crew, _lent.crew = _lent.crew, None
    if crew is not None:
        crew.forget()
        _idle_crews.append(crew)


def _carry_out(pair_at: Any) -> None:
    """What each of torch's threads does: all are leads."""
    call(pair_at[0], pair_at[1], 0)


@cache
def _carrying_out() -> Any:
    return callback(types.void(types.CPointer(types.int64)))(_carry_out)  # type: ignore[no-untyped-call]


def run_shared(
    function: Any,
    numbers: Sequence[int],
    shares: int,
    *,
    threads: int,
    has_opening: bool = False,
    keep: object = None,
) -> None:
    """Have an order's shares carried out in so many threads by what `shared` made, without the interpreter's lock.

    `numbers` follow the order's own (crew.NUMBERS of them), and `keep` is what the memory that they tell of belongs to:
    see crew.py for what shares must be like. With `has_opening` the function is called once before, with crew.OPENING
    for a helper. Without threads to be had, and for one, the calling thread is alone. Raises MemoryError where one had
    no memory.
    """
    if threads > 1 and _lent.is_wanted:
        _crew(threads - 1).run(function.address, numbers, shares, has_opening=has_opening, keep=keep)
        return
    order = order_of(numbers, shares)
    order_at = ctypes.addressof(order)
    if has_opening:
        _CALL(function.address)(order_at, OPENING)
    if threads == 1 or _PARALLEL is None:
        _CALL(function.address)(order_at, 0)
    else:
        pair = (ctypes.c_int64 * 2)(function.address, order_at)
        _PARALLEL(_carrying_out().address, ctypes.addressof(pair), threads, 0)
    require_done(order)


@contextmanager
def computing() -> Iterator[None]:
    """Around what is computed in a thread that then does something else: its pool goes."""
    try:
        yield
    finally:
        let_go()


def let_go() -> None:
    """Free the pool of the calling thread; its next parallel operation makes one again, in a fraction of a ms."""
    _give_crew_back()
    if _PAUSE is not None and _HOST is not None:
        _PAUSE(_PAUSE_SOFT, _HOST())
