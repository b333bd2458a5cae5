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
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final

from numba import types

from inference.crew import OPENING, SHARES_SIGNATURE, Crew, is_opened, order_of, require_done
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
# Threads that only get what cores nobody else wants, and beds that work: macOS has neither.
_HAS_CREWS: Final = sys.platform == "linux"


def can_share() -> bool:
    """Whether native functions can have threads: a system as Linux is, with torch's threads."""
    return _PARALLEL is not None


def shared(function: Callable[[Any, Any], None]) -> Any:
    """Compiles what each thread does with an order: it gets the addresses of the order and of itself as a helper."""
    return callback(SHARES_SIGNATURE)(function)


# A crew's memory is looked at for good, so crews are lent, one to a thread, and never end. By helpers that were wanted.
_idle_crews: Final[defaultdict[int, list[Crew]]] = defaultdict(list)


class _Loan:
    """A crew that is given back when nobody has the loan, as when its thread ends."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew

    def __del__(self, idle_crews: defaultdict[int, list[Crew]] = _idle_crews) -> None:
        self.crew.forget()
        idle_crews[self.crew.wanted].append(self.crew)


class _Lent(threading.local):
    """The calling thread's crew, and whether it is to be used."""

    loan: _Loan | None = None
    is_wanted = False


_lent: Final = _Lent()


def _forget_crews() -> None:
    """A forked process has only the thread that forked."""
    _lent.loan = None
    _idle_crews.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_crews)


@contextmanager
def helped_by_crew(*, wanted: bool) -> Iterator[None]:
    """Whether the calling thread's shared functions have a crew, or torch's threads."""
    before, _lent.is_wanted = _lent.is_wanted, wanted
    try:
        yield
    finally:
        _lent.is_wanted = before


def _crew(wanted: int) -> Crew:
    loan = _lent.loan
    if loan is None or loan.crew.wanted != wanted:
        _lent.loan = loan = None
        try:
            crew = _idle_crews[wanted].pop()
        except IndexError:
            crew = Crew(wanted)
        _lent.loan = loan = _Loan(crew)
    return loan.crew


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
) -> bool:
    """Have an order's shares carried out in so many threads by what `shared` made, without the interpreter's lock.

    `numbers` follow the order's own (crew.NUMBERS of them), and `keep` is what the memory that they tell of belongs to:
    see crew.py for what shares must be like. With `has_opening` the function is called once before, with crew.OPENING
    for a helper. Without threads to be had, and for one, the calling thread is alone. Whether a helper may still write
    what stands there already: who then writes something else has to do so elsewhere. Raises MemoryError where there was
    too little memory.
    """
    if threads > 1 and _lent.is_wanted and _HAS_CREWS:
        crew = _crew(threads - 1)
        return crew.run(function.address, numbers, shares, has_opening=has_opening, keep=(function, keep))
    order = order_of(numbers, shares, has_opening=has_opening)
    order_at = ctypes.addressof(order)
    if has_opening:
        _CALL(function.address)(order_at, OPENING)
    if not is_opened(order):
        pass
    elif threads == 1 or _PARALLEL is None:
        _CALL(function.address)(order_at, 0)
    else:
        pair = (ctypes.c_int64 * 2)(function.address, order_at)
        _PARALLEL(_carrying_out().address, ctypes.addressof(pair), threads, 0)
    require_done(order)
    return False


@contextmanager
def computing() -> Iterator[None]:
    """Around what is computed in a thread that then does something else: its pool goes."""
    try:
        yield
    finally:
        let_go()


def let_go() -> None:
    """Free the pool of the calling thread; its next parallel operation makes one again, in a fraction of a ms."""
    _lent.loan = None
    _forget_orders()
    if _PAUSE is not None and _HOST is not None:
        _PAUSE(_PAUSE_SOFT, _HOST())


def _forget_orders() -> None:
    """Let go of the memory that idle crews kept for helpers which have come back since."""
    for crews in list(_idle_crews.values()):
        for _ in range(len(crews)):
            # Taken out meanwhile, since whoever lends it runs orders with it.
            with suppress(IndexError):
                crew = crews.pop(0)
                crew.forget()
                crews.append(crew)
