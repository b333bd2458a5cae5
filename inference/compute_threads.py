"""torch's threads: native functions that run on them, and letting them go when nothing is to be computed.

They are libgomp's, which torch's Linux builds bring; `GOMP_parallel` is what compilers call
(https://gcc.gnu.org/onlinedocs/libgomp/Implementing-PARALLEL-construct.html). A pool of our own would fight with
torch's for the cores.

libgomp keeps a pool for every thread that has asked for work, and once its threads outnumber the cores none of them
spins while it waits: each of the hundred products of a step then begins with waking a core. An engine that was loaded
in one thread and steps in another took 33 ms a step instead of 19 on 2 cores, in int4 18 instead of 9.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numba import types

from inference.native_code import callback, fetch_and_add, inlined

# https://www.openmp.org/spec-html/5.0/openmpsu168.html: the soft kind frees what can be had again at once.
_PAUSE_SOFT: Final = 1
_ORDER: Final[Any] = types.void(types.CPointer(types.int64))  # type: ignore[no-untyped-call]
_CALL: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

# Where an order's numbers begin. Before them stand the address of the next share that nobody has taken, that share, and
# how many threads have begun and not ended.
NUMBERS: Final = 3


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
    """Whether torch's threads can be had for native functions."""
    return _PARALLEL is not None


def shared(function: Callable[[Any], None]) -> Any:
    """Compiles what each thread does with an order, of which it gets a pointer to the first whole number."""
    return callback(_ORDER)(function)


@inlined
def take_shares(order: Any, count: int) -> Any:
    """The first of the next `count` shares, which are this thread's; they may be behind the last one there is."""
    return fetch_and_add(order[0], count)


@inlined
def begin_share(order: Any) -> None:
    """Say that this thread begins; one that has no memory for its work never says that it has ended."""
    fetch_and_add(order[0] + 8, 1)


@inlined
def end_share(order: Any) -> None:
    """Say that this thread has done what it took."""
    fetch_and_add(order[0] + 8, -1)


def run_shared(function: Any, numbers: Sequence[int], *, threads: int) -> None:
    """Have so many of torch's threads carry out an order by what `shared` made, without the interpreter's lock.

    Without torch's threads, and for one, it is the calling thread alone. Raises MemoryError where one had no memory.
    """
    order = np.array((0, 0, 0, *numbers), dtype=np.int64)
    at = order.ctypes.data
    order[0] = at + order.itemsize
    if threads == 1 or _PARALLEL is None:
        _CALL(function.address)(at)
    else:
        _PARALLEL(function.address, at, threads, 0)
    if order[2] != 0:
        raise MemoryError("a thread had no memory for its part of a step")


@contextmanager
def computing() -> Iterator[None]:
    """Around what is computed in a thread that then does something else: its pool goes."""
    try:
        yield
    finally:
        let_go()


def let_go() -> None:
    """Free the pool of the calling thread; its next parallel operation makes one again, in a fraction of a ms."""
    if _PAUSE is not None and _HOST is not None:
        _PAUSE(_PAUSE_SOFT, _HOST())
