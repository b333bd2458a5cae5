"""The small operations between a decoder layer's matrix products, each one native call on tensors in place.

Between two products that stream weights through the caches, every torch operation begins cold: 20 to 70 µs instead of 3
to 10, a dozen per layer. Three compiled functions with little code take their place. They let go of the interpreter's
lock, take addresses of contiguous tensors (what torch owns stays its own), compute in float32 whatever those hold, and
run on as many threads as they are told. `kind` is a number of the type that stands for the tensors' dtype,
see `KINDS`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import torch

from inference.compute_threads import run_shared, shared
from inference.crew import NUMBERS, OPENING, end_share, take_share
from inference.native_code import KINDS, exponential, float_of, inlined, narrow, pointer, wide

_BFLOAT16: Final = KINDS[torch.bfloat16]
_FLOAT32: Final = KINDS[torch.float32]


# So many rows are a share of what goes row by row.
ROWS_AT_ONCE: Final = 8
# What normalisation's threads read: addresses (0: nothing is added), numbers of rows and of numbers in one, epsilon.
_N_ROWS, _N_ADDED, _N_WEIGHT, _N_OUT, _N_COUNT, _N_WIDTH, _N_EPSILON = range(NUMBERS, NUMBERS + 7)
# What gating's threads read.
_G_BOTH, _G_OUT, _G_COUNT, _G_WIDTH = range(NUMBERS, NUMBERS + 4)


@inlined
def _add_and_normalise(kind: Any, order_at: int, helper_at: int) -> None:
    order = pointer(order_at, np.int64(0))
    rows, added = pointer(order[_N_ROWS], kind), pointer(order[_N_ADDED], kind)
    weight, out = pointer(order[_N_WEIGHT], kind), pointer(order[_N_OUT], kind)
    count, width, has_more = order[_N_COUNT], order[_N_WIDTH], order[_N_ADDED] != 0
    epsilon = float_of(np.uint32(order[_N_EPSILON]))
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        begin = share * ROWS_AT_ONCE
        for row in range(begin, min(begin + ROWS_AT_ONCE, count)):
            first = row * width
            if has_more:
                for index in range(first, first + width):
                    rows[index] = narrow(wide(rows[index]) + wide(added[index]), kind)
            squares = np.float32(0)
            for index in range(first, first + width):
                number = wide(rows[index])
                squares += number * number
            scale = np.float32(1 / np.sqrt(squares / np.float32(width) + epsilon))
            for index in range(width):
                out[first + index] = narrow(wide(rows[first + index]) * scale * wide(weight[index]), kind)
        end_share(order_at, share)


def _add_and_normalise_in_bfloat16(order_at: int, helper_at: int) -> None:
    _add_and_normalise(_BFLOAT16, order_at, helper_at)


def _add_and_normalise_in_float32(order_at: int, helper_at: int) -> None:
    _add_and_normalise(_FLOAT32, order_at, helper_at)


@inlined
def _gate(kind: Any, order_at: int, helper_at: int) -> None:
    order = pointer(order_at, np.int64(0))
    both, out = pointer(order[_G_BOTH], kind), pointer(order[_G_OUT], kind)
    count, width = order[_G_COUNT], order[_G_WIDTH]
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        begin = share * ROWS_AT_ONCE
        for row in range(begin, min(begin + ROWS_AT_ONCE, count)):
            first = 2 * row * width
            for index in range(width):
                number = wide(both[first + index])
                opened = number / (np.float32(1) + exponential(-number))
                out[row * width + index] = narrow(opened * wide(both[first + width + index]), kind)
        end_share(order_at, share)


def _gate_in_bfloat16(order_at: int, helper_at: int) -> None:
    _gate(_BFLOAT16, order_at, helper_at)


def _gate_in_float32(order_at: int, helper_at: int) -> None:
    _gate(_FLOAT32, order_at, helper_at)


# What attention's threads read: addresses, numbers of rows, of query heads, of key heads, of numbers in a head, of
# positions in a slot and in the window, the scores' factor as bits, and how many rows in turn are a share.
(
    _STATES, _COSINES, _SINES, _STORE, _SLOTS, _POSITIONS, _OUT,
    _COUNT, _HEADS, _GROUPS, _SIZE, _CAPACITY, _WINDOW, _SCALING, _TOGETHER,
) = range(NUMBERS, NUMBERS + 15)  # fmt: skip


@inlined
def _attend(kind: Any, order_at: int, helper_at: int) -> None:  # noqa: C901, PLR0912, PLR0915 - in functions, it takes 2.5 times as long
    """Each share is a key head of some rows: its place in the store, its queries, its part of what comes out."""
    order = pointer(order_at, np.int64(0))
    states, out, store = pointer(order[_STATES], kind), pointer(order[_OUT], kind), pointer(order[_STORE], kind)
    cosines, sines = pointer(order[_COSINES], kind), pointer(order[_SINES], kind)
    slots, positions = pointer(order[_SLOTS], np.int64(0)), pointer(order[_POSITIONS], np.int64(0))
    count, heads, groups, size = order[_COUNT], order[_HEADS], order[_GROUPS], order[_SIZE]
    capacity, window, together = order[_CAPACITY], order[_WINDOW], order[_TOGETHER]
    # Keys and values are stored before anybody attends, by the lead: a helper that comes back much later might write
    # to what has become another request's slot.
    stores = helper_at == OPENING
    scaling = float_of(np.uint32(order[_SCALING]))
    members, half = heads // groups, size // 2
    queries = np.empty((members, size), dtype=np.float32)
    weights = np.empty((members, capacity), dtype=np.float32)
    sums = np.empty((members, size), dtype=np.float32)
    totals = np.empty(members, dtype=np.float32)
    widened = np.empty(size, dtype=np.float32)
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        first_row, group = (share // groups) * together, share % groups
        for row in range(first_row, min(first_row + together, count)):
            position = positions[row]
            state = row * (heads + 2 * groups) * size
            turn = row * size
            keys = (slots[row] * 2 * groups + group) * capacity * size
            values = keys + groups * capacity * size
            # The last one is the key.
            for member in range(members if stores else 0, members + 1 if stores else members):
                head = group * members + member if member < members else heads + group
                begin = state + head * size
                for index in range(half):
                    left, right = wide(states[begin + index]), wide(states[begin + half + index])
                    first = left * wide(cosines[turn + index]) + right * wide(sines[turn + index])
                    second = right * wide(cosines[turn + half + index]) + left * wide(sines[turn + half + index])
                    if member < members:
                        queries[member, index] = wide(narrow(first, kind)) * scaling
                        queries[member, half + index] = wide(narrow(second, kind)) * scaling
                    else:
                        to = keys + position * size
                        store[to + index] = narrow(first, kind)
                        store[to + half + index] = narrow(second, kind)
            if stores:
                begin = state + (heads + groups + group) * size
                to = values + position * size
                for index in range(size):
                    store[to + index] = states[begin + index]
                continue
            start = max(0, position - window + 1) if window > 0 else 0
            # A key is widened once for all heads that share it.
            for key in range(start, position + 1):
                for index in range(size):
                    widened[index] = wide(store[keys + key * size + index])
                for member in range(members):
                    score = np.float32(0)
                    for index in range(size):
                        score += queries[member, index] * widened[index]
                    weights[member, key] = score
            for member in range(members):
                greatest, checked = np.float32(-np.inf), np.float32(0)
                for key in range(start, position + 1):
                    score = weights[member, key]
                    greatest = score if score > greatest else greatest  # noqa: FURB136 - max prevents vectors
                    checked += score
                # Zero, or not a number where one of the scores is none: the exponential would hide that.
                total = checked * np.float32(0)
                for key in range(start, position + 1):
                    weight = exponential(weights[member, key] - greatest)
                    weights[member, key] = weight
                    total += weight
                totals[member] = total
            sums[:] = np.float32(0)
            for key in range(start, position + 1):
                for index in range(size):
                    widened[index] = wide(store[values + key * size + index])
                for member in range(members):
                    weight = weights[member, key]
                    for index in range(size):
                        sums[member, index] += weight * widened[index]
            for member in range(members):
                to = (row * heads + group * members + member) * size
                for index in range(size):
                    out[to + index] = narrow(sums[member, index] / totals[member], kind)
        if not stores:
            end_share(order_at, share)


def _attend_in_bfloat16(order_at: int, helper_at: int) -> None:
    _attend(_BFLOAT16, order_at, helper_at)


def _attend_in_float32(order_at: int, helper_at: int) -> None:
    _attend(_FLOAT32, order_at, helper_at)


_OPERATIONS: Final = {
    ("normalise", torch.bfloat16): _add_and_normalise_in_bfloat16,
    ("normalise", torch.float32): _add_and_normalise_in_float32,
    ("gate", torch.bfloat16): _gate_in_bfloat16,
    ("gate", torch.float32): _gate_in_float32,
    ("attend", torch.bfloat16): _attend_in_bfloat16,
    ("attend", torch.float32): _attend_in_float32,
}


@cache
def _compiled(operation: str, dtype: torch.dtype) -> Any:
    """What the threads run, compiled when a model of that dtype is first loaded."""
    return shared(_OPERATIONS[operation, dtype])


def add_and_normalise(
    dtype: torch.dtype,
    rows_at: int,
    added_at: int,
    weight_at: int,
    out_at: int,
    count: int,
    width: int,
    epsilon: float,
) -> None:
    """Add to `count` rows in place what stands at `added_at` (0: nothing), and write them normalised, times weight.

    In one thread: what adds in place cannot be repeated.
    """
    numbers = (rows_at, added_at, weight_at, out_at, count, width, _bits(epsilon))
    run_shared(_compiled("normalise", dtype), numbers, _row_shares(count), threads=1)


def gate(
    dtype: torch.dtype,
    gates_and_ups_at: int,
    out_at: int,
    count: int,
    width: int,
    *,
    threads: int,
    keep: object = None,
) -> None:
    """silu(gate) * up of `count` rows that hold `width` gates, then `width` ups. For `keep` see `run_shared`."""
    numbers = (gates_and_ups_at, out_at, count, width)
    run_shared(_compiled("gate", dtype), numbers, _row_shares(count), threads=threads, keep=keep)


def attend(
    dtype: torch.dtype,
    states_at: int,
    cosines_at: int,
    sines_at: int,
    store_at: int,
    slots_at: int,
    positions_at: int,
    out_at: int,
    count: int,
    heads: int,
    groups: int,
    size: int,
    capacity: int,
    window: int,
    scaling: float,
    *,
    see_each_other: bool,
    threads: int,
    keep: object = None,
) -> None:
    """Rotate queries and keys of `count` rows, store keys and values at the rows' slots and positions, and attend.

    What comes out for a row is the same to the last bit whatever rows it is computed with, or in which steps those were
    that it sees.

    A row of states holds `heads` queries, `groups` keys and `groups` values of `size` numbers each; the store is
    `(slots, keys then values, capacity, size)`; sines have the sign that rotating by halves gives each half. A row
    sees its slot up to its own position, and the last `window` positions of that (0: all). With `see_each_other` rows
    are of one slot, and see what those before them store. For `keep` see `run_shared`.
    """
    addresses = (states_at, cosines_at, sines_at, store_at, slots_at, positions_at, out_at)
    numbers = (*addresses, count, heads, groups, size, capacity, window, _bits(scaling))
    compiled = _compiled("attend", dtype)
    together = ROWS_AT_ONCE if see_each_other else 1
    shares = groups * -(-count // together)
    run_shared(compiled, (*numbers, together), shares, threads=threads, has_opening=True, keep=keep)


def _row_shares(count: int) -> int:
    return -(-count // ROWS_AT_ONCE)


def _bits(number: float) -> int:
    return int(np.float32(number).view(np.uint32))
