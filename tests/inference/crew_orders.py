"""Orders for a crew, as its tests give them: what is done for a share, and whether it came out right.

All that is compiled stands here: numba keeps it until this file changes, with the numbers below in it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from inference.compute_threads import shared
from inference.crew import _DONE, _FLAGS, NUMBERS, OPENING, Crew, end_share, take_share
from inference.native_atomics import fetch_and_add, load, mark, store
from inference.native_code import pointer

WITHIN_S = 120
LOOKS = WITHIN_S * 10_000

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


def some_memory() -> NDArray[np.int64]:
    """For an order to look at, so that a test sees whether it is still there."""
    return np.zeros(4, dtype=np.int64)
