"""Native threads that help the one which computes, for as long as nothing else wants their cores.

A step is a hundred small orders in a row, each divided into shares that whoever is free takes. OpenMP's threads wait at
an order's end until all of them have arrived: one that lost its core to another process in the middle of a share, for
some milliseconds, holds up the others for as long. On 2 cores, 100 ms that other processes computed cost an engine
134 ms.

Here nobody waits for a helper. The lead (the thread that computes a step) gives an order to whoever is awake, takes
shares itself, and when none is left waits about as long as a share takes. A helper that is not back by then is left
behind: the lead carries out what is missing, and goes on alone until the helper is there again. So a share may be
carried out twice, also much later; this is harmless because of what an order must be:

- Its shares can be repeated: they read what does not change, or what they have copied before they made sure that they
  are not left behind, and they write where nobody else writes.
- What it reads and writes stays in memory until the last helper has left it; `run` is told what that is.

Helpers run in the class of threads that get a core when nothing else wants it (SCHED_IDLE, see sched(7)), and Linux
wakes other threads up on the core of one of these rather than on the lead's: web pages are served, and tokens sent, by
the core that a helper has. They are threads of the system without Python, so they never hold the interpreter's lock.
They spin between the orders of a step and sleep when there are none.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import numpy as np
from numba import types

from inference.native_atomics import (
    call,
    fence,
    fetch_and_add,
    is_marked,
    load,
    mark,
    relax,
    store,
    swap,
)
from inference.native_code import callback, compiled, inlined, pointer

logger = logging.getLogger(__name__)

# An order: the next share (below 0 until the opening is done), how many there are, how many are done, the next one to
# look at of those that helpers may have left (-1: there is no such look yet), where a byte per share says whether it is
# done; then its own numbers.
_NEXT, _TOTAL, _DONE, _MEND, _FLAGS = range(5)
NUMBERS: Final = 5

# In place of a helper's address: what must come before all shares, which the lead does alone.
OPENING: Final = -1

# All that follow are on cache lines of their own: 8 numbers each.
_LINE: Final = 8
# The crew's board: a number that is odd while an order is open and grows with each, the function, the order, a clock.
_GATE, _FUNCTION, _ORDER, _CLOCK = 0, 1, 2, _LINE
_BOARD_NUMBERS: Final = 2 * _LINE
# A helper: its state, whether it sleeps, the board, a clock, what it sleeps on.
_STATE, _ASLEEP, _BOARD, _HELPERS_CLOCK, _BED = 0, 1, 2, _LINE, 2 * _LINE
_HELPER_NUMBERS: Final = 3 * _LINE
# What it does is the last two bits of its state, and the others grow with each order that it leaves.
_IDLE, _JOINING, _WORKING, _LEFT_BEHIND = range(4)
_ACTS: Final = 3
_NEXT_ORDER: Final = 4

_SCHED_IDLE: Final = 5
_CLOCK_MONOTONIC: Final = 1
# Without an order for so long a helper sleeps; the longest pause within a step is a few ms.
_PATIENCE_NS: Final = 10_000_000
_LOOKS_BETWEEN_YIELDS: Final = 64
# The lead waits so long at least, of the time that a share takes so many times as long.
_LEAST_WAIT_NS: Final = 15_000
_WAIT_PER_SHARE: Final = 1.5
_LACKING: Final = -1

_NO_MEMORY: Final = "a thread had no memory for its part of a step"

_int = types.int32
_whole = types.int64
_sched_yield: Any = types.ExternalFunction("sched_yield", _int())
_sched_setscheduler: Any = types.ExternalFunction("sched_setscheduler", _int(_int, _int, _whole))
_clock_gettime: Any = types.ExternalFunction("clock_gettime", _int(_int, _whole))
_sem_wait: Any = types.ExternalFunction("sem_wait", _int(_whole))
_sem_post: Any = types.ExternalFunction("sem_post", _int(_whole))

SHARES_SIGNATURE: Final[Any] = types.void(_whole, _whole)
Order = ctypes.Array[ctypes.c_int64]


@inlined
def _now(clock_at: int) -> Any:
    """Nanoseconds; two numbers at the address are overwritten."""
    _clock_gettime(np.int32(_CLOCK_MONOTONIC), clock_at)
    clock = pointer(clock_at, np.int64(0))
    return clock[0] * 1_000_000_000 + clock[1]


@inlined
def is_left_behind(helper_at: int) -> Any:
    """Whether a helper's order has ended without it; never so for the lead, whose address is 0.

    If not, what was read before is what the order was about.
    """
    fence()
    return helper_at > 0 and load(helper_at + 8 * _STATE) & _ACTS != _WORKING


@inlined
def take_share(order_at: int, helper_at: int) -> Any:
    """A share that is this thread's to carry out, -1 when there is none; in an opening each in turn."""
    order = pointer(order_at, np.int64(0))
    if helper_at == OPENING:
        # From -total up to 0, where the shares' own count begins.
        left = order[_NEXT]
        if left >= 0:
            return -1
        order[_NEXT] = left + 1
        return order[_TOTAL] + left
    if helper_at == 0 and order[_MEND] >= 0:
        while order[_MEND] < order[_TOTAL]:
            share = order[_MEND]
            order[_MEND] = share + 1
            if not is_marked(order[_FLAGS] + share):
                return share
        return -1
    share = fetch_and_add(order_at + 8 * _NEXT, 1)
    return share if share < order[_TOTAL] else -1


@inlined
def end_share(order_at: int, share: int) -> None:
    """Say that the share is carried out."""
    order = pointer(order_at, np.int64(0))
    mark(order[_FLAGS] + share)
    fetch_and_add(order_at + 8 * _DONE, 1)


def _help(helper_at: int) -> int:
    """A helper's life."""
    helper = pointer(helper_at, np.int64(0))
    # No priority within the class; where the system refuses it, the helper is a thread like any other.
    helper[_HELPERS_CLOCK] = 0
    _sched_setscheduler(np.int32(0), np.int32(_SCHED_IDLE), helper_at + 8 * _HELPERS_CLOCK)
    gate_at, state_at, asleep_at = helper[_BOARD] + 8 * _GATE, helper_at + 8 * _STATE, helper_at + 8 * _ASLEEP
    clock_at, bed_at = helper_at + 8 * _HELPERS_CLOCK, helper_at + 8 * _BED
    state, last, looks = 0, 0, 0
    since = _now(clock_at)
    while True:
        gate = load(gate_at)
        if gate & 1 == 1 and gate != last:
            store(state_at, state | _JOINING)
            # From here on the lead sees that somebody comes, or has closed the gate before.
            last = load(gate_at)
            function_at, order_at = load(helper[_BOARD] + 8 * _FUNCTION), load(helper[_BOARD] + 8 * _ORDER)
            # And it writes no other order on the board without leaving behind who is not at work.
            if last & 1 == 1 and swap(state_at, state | _JOINING, state | _WORKING):
                call(function_at, order_at, helper_at)
            state += _NEXT_ORDER
            store(state_at, state | _IDLE)
            since = _now(clock_at)
            continue
        relax()
        looks += 1
        if looks % _LOOKS_BETWEEN_YIELDS == 0:
            _sched_yield()
            if _now(clock_at) - since > _PATIENCE_NS:
                store(asleep_at, 1)
                # Who opens the gate after this looks whether anybody sleeps, and wakes who does.
                if load(gate_at) == gate or not swap(asleep_at, 1, 0):
                    while _sem_wait(bed_at) != 0:
                        pass
                since = _now(clock_at)


@inlined
def _mend(function_at: int, order_at: int) -> Any:
    """Have the lead carry out what is missing; whether nothing is then."""
    order = pointer(order_at, np.int64(0))
    if load(order_at + 8 * _DONE) >= order[_TOTAL]:
        return True
    order[_MEND] = 0
    call(function_at, order_at, 0)
    # The number of those done may be behind: who is late has marked its share before it counts it.
    marked = 0
    for share in range(order[_TOTAL]):
        marked += 1 if is_marked(order[_FLAGS] + share) else 0
    return marked == order[_TOTAL]


def _lead(function_at: int, order_at: int, board_at: int, helpers_at: int, helpers: int, has_opening: bool) -> Any:
    """Have an order carried out. How many helpers were left behind in it; LACKING where shares are left."""
    if has_opening:
        call(function_at, order_at, OPENING)
    order = pointer(order_at, np.int64(0))
    if order[_NEXT] < 0:  # there was no memory for the opening
        return _LACKING
    gate_at, clock_at = board_at + 8 * _GATE, board_at + 8 * _CLOCK
    store(board_at + 8 * _FUNCTION, function_at)
    store(board_at + 8 * _ORDER, order_at)
    fetch_and_add(gate_at, 1)
    for index in range(helpers):
        helper_at = helpers_at + 8 * _HELPER_NUMBERS * index
        if load(helper_at + 8 * _ASLEEP) == 1 and swap(helper_at + 8 * _ASLEEP, 1, 0):
            _sem_post(helper_at + 8 * _BED)
    began = _now(clock_at)
    call(function_at, order_at, 0)
    fetch_and_add(gate_at, 1)
    ended = _now(clock_at)
    per_share = (ended - began) * (helpers + 1) / max(1, order[_TOTAL])
    until = ended + _LEAST_WAIT_NS + np.int64(_WAIT_PER_SHARE * per_share)
    left_behind = 0
    for index in range(helpers):
        state_at = helpers_at + 8 * (_HELPER_NUMBERS * index + _STATE)
        while True:
            state = load(state_at)
            if state & _ACTS in (_IDLE, _LEFT_BEHIND):
                break
            if _now(clock_at) > until and swap(state_at, state, state | _LEFT_BEHIND):
                left_behind += 1
                break
            relax()
    return left_behind if _mend(function_at, order_at) else _LACKING


@cache
def _helping() -> Any:
    return callback(_whole(_whole))(_help)


@cache
def _leading() -> Any:
    return compiled(_lead)


class Crew:
    """A lead's helpers. They stay for good, since a thread of the class of theirs may take long to hear of its end."""

    def __init__(self, wanted: int) -> None:
        """Of so many helpers, or as many as the system lets it have."""
        self.wanted = wanted
        numbers = _BOARD_NUMBERS + wanted * _HELPER_NUMBERS
        memory = np.zeros(numbers + _LINE, dtype=np.int64)
        self._board_at = memory.ctypes.data + -memory.ctypes.data % (8 * _LINE)
        self._helpers_at = self._board_at + 8 * _BOARD_NUMBERS
        begin = (self._board_at - memory.ctypes.data) // 8 + _BOARD_NUMBERS
        self._helpers = memory[begin : begin + wanted * _HELPER_NUMBERS].reshape(wanted, -1)
        # By helper that was left behind: its state since, and what it may look at as long as it is in that.
        self._kept: dict[int, tuple[int, object]] = {}
        # Helpers look at all this also when the interpreter is taken down around them.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        self.helpers = self._begin()

    def _begin(self) -> int:
        """How many threads could be begun."""
        system = ctypes.CDLL(None)
        with _signals_for_others():
            for index, helper in enumerate(self._helpers):
                helper[_BOARD] = self._board_at
                helper_at = self._helpers_at + 8 * _HELPER_NUMBERS * index
                system.sem_init(ctypes.c_void_p(helper_at + 8 * _BED), 0, 0)
                thread, life = ctypes.c_ulong(), ctypes.c_void_p(_helping().address)
                failure = system.pthread_create(ctypes.byref(thread), None, life, ctypes.c_void_p(helper_at))
                if failure:
                    reason = os.strerror(failure)
                    logger.warning("%d threads to compute with instead of %d: %s", index + 1, self.wanted + 1, reason)
                    return index
                system.pthread_detach(thread)
        return self.wanted

    def run(self, function_at: int, numbers: Sequence[int], shares: int, *, has_opening: bool, keep: object) -> bool:
        """Have `shares` shares of an order carried out by the native function at the address.

        `numbers` follow the order's own. With `has_opening` the lead calls the function once before all helpers, with
        OPENING for a helper. `keep` is what the order's memory belongs to, and the function's. Whether a helper was
        left behind, which then may still write, though nothing else than stands there. Raises MemoryError where there
        is too little for the lead's part.
        """
        if self._kept:
            self.forget()
        order = order_of(numbers, shares, has_opening=has_opening)
        order_at = ctypes.addressof(order)
        outcome = _leading()(function_at, order_at, self._board_at, self._helpers_at, self.helpers, has_opening)
        if outcome != 0:
            for index, state in enumerate(self._helpers[:, _STATE].tolist()):
                # One that was left behind before has not seen this order.
                if state & _ACTS == _LEFT_BEHIND and self._kept.get(index, (_IDLE, None))[0] != state:
                    self._kept[index] = state, (order, keep)
        if outcome == _LACKING:
            raise MemoryError(_NO_MEMORY)
        return bool(outcome)

    def forget(self) -> None:
        """Keep no longer what no helper looks at any more."""
        self._kept = {index: kept for index, kept in self._kept.items() if self._helpers[index, _STATE] == kept[0]}


@contextmanager
def _signals_for_others() -> Iterator[None]:
    """Around the start of threads that may not have a core for long: signals to the process go to its other threads."""
    own = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - own)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def order_of(numbers: Sequence[int], shares: int, *, has_opening: bool) -> Order:
    """An order's memory."""
    count = NUMBERS + len(numbers)
    # Made a hundred times a step: an array of numpy takes three times as long until its address is known.
    order = (ctypes.c_int64 * (count + -(-shares // 8)))(-shares if has_opening else 0, shares, 0, -1, 0, *numbers)
    order[_FLAGS] = ctypes.addressof(order) + 8 * count
    return order


def is_opened(order: Order) -> bool:
    """Whether there was memory for the opening, or none to be done."""
    return order[_NEXT] >= 0


def require_done(order: Order) -> None:
    """Raises MemoryError where shares are left, all threads having ended: so it is where one had no memory."""
    if order[_DONE] < order[_TOTAL]:
        raise MemoryError(_NO_MEMORY)
