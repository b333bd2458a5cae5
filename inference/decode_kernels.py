"""The small operations between a decoder layer's matrix products, each one native call on tensors in place.

Between two products that stream weights through the caches, every torch operation begins cold: 20 to 70 µs instead of 3
to 10, a dozen per layer. Three compiled functions with little code take their place. They let go of the interpreter's
lock, take addresses of contiguous tensors (what torch owns stays its own), and compute in float32 whatever those hold.
`kind` is a number of the type that stands for the tensors' dtype, see `KINDS`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.native_code import compiled, exponential, narrow, pointer, wide


@compiled
def add_and_normalise(
    kind: Any, rows_at: int, added_at: int, weight_at: int, out_at: int, count: int, width: int, epsilon: float
) -> None:
    """Add to `count` rows in place what stands at `added_at` (0: nothing), and write them normalised, times weight."""
    rows, added = pointer(rows_at, kind), pointer(added_at, kind)
    weight, out = pointer(weight_at, kind), pointer(out_at, kind)
    for row in range(count):
        first = row * width
        if added_at != 0:
            for index in range(first, first + width):
                rows[index] = narrow(wide(rows[index]) + wide(added[index]), kind)
        squares = np.float32(0)
        for index in range(first, first + width):
            number = wide(rows[index])
            squares += number * number
        scale = np.float32(1 / np.sqrt(squares / np.float32(width) + np.float32(epsilon)))
        for index in range(width):
            out[first + index] = narrow(wide(rows[first + index]) * scale * wide(weight[index]), kind)


@compiled
def gate(kind: Any, gates_and_ups_at: int, out_at: int, count: int, width: int) -> None:
    """silu(gate) * up of `count` rows that hold `width` gates, then `width` ups."""
    gates_and_ups, out = pointer(gates_and_ups_at, kind), pointer(out_at, kind)
    for row in range(count):
        first = 2 * row * width
        for index in range(width):
            number = wide(gates_and_ups[first + index])
            opened = number / (np.float32(1) + exponential(-number))
            out[row * width + index] = narrow(opened * wide(gates_and_ups[first + width + index]), kind)


@compiled
def attend(  # noqa: C901, PLR0912 - cut into functions, it takes two and a half times as long
    kind: Any,
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
) -> None:
    """Rotate queries and keys of `count` rows, store keys and values at the rows' slots and positions, and attend.

    A row of states holds `heads` queries, `groups` keys and `groups` values of `size` numbers each; the store is
    `(slots, keys then values, capacity, size)`; sines have the sign that rotating by halves gives each half. A row
    sees its slot up to its own position, and the last `window` positions of that (0: all).
    """
    states, out, store = pointer(states_at, kind), pointer(out_at, kind), pointer(store_at, kind)
    cosines, sines = pointer(cosines_at, kind), pointer(sines_at, kind)
    slots, positions = pointer(slots_at, count), pointer(positions_at, count)
    shared, half = heads // groups, size // 2
    queries = np.empty((heads, size), dtype=np.float32)
    weights = np.empty((shared, capacity), dtype=np.float32)
    sums = np.empty((shared, size), dtype=np.float32)
    totals = np.empty(shared, dtype=np.float32)
    widened = np.empty(size, dtype=np.float32)
    for row in range(count):
        position = positions[row]
        slot = slots[row] * 2 * groups * capacity * size
        state = row * (heads + 2 * groups) * size
        turn = row * size
        for head in range(heads + groups):
            begin = state + head * size
            for index in range(half):
                left, right = wide(states[begin + index]), wide(states[begin + half + index])
                first = left * wide(cosines[turn + index]) + right * wide(sines[turn + index])
                second = right * wide(cosines[turn + half + index]) + left * wide(sines[turn + half + index])
                if head < heads:
                    queries[head, index] = wide(narrow(first, kind)) * np.float32(scaling)
                    queries[head, half + index] = wide(narrow(second, kind)) * np.float32(scaling)
                else:
                    to = slot + ((head - heads) * capacity + position) * size
                    store[to + index] = narrow(first, kind)
                    store[to + half + index] = narrow(second, kind)
        for group in range(groups):
            begin = state + (heads + groups + group) * size
            to = slot + ((groups + group) * capacity + position) * size
            for index in range(size):
                store[to + index] = states[begin + index]
        start = max(0, position - window + 1) if window > 0 else 0
        for group in range(groups):
            keys = slot + group * capacity * size
            values = keys + groups * capacity * size
            # A key is widened once for all heads that share it.
            for key in range(start, position + 1):
                for index in range(size):
                    widened[index] = wide(store[keys + key * size + index])
                for member in range(shared):
                    score = np.float32(0)
                    for index in range(size):
                        score += queries[group * shared + member, index] * widened[index]
                    weights[member, key] = score
            for member in range(shared):
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
                for member in range(shared):
                    weight = weights[member, key]
                    for index in range(size):
                        sums[member, index] += weight * widened[index]
            for member in range(shared):
                to = (row * heads + group * shared + member) * size
                for index in range(size):
                    out[to + index] = narrow(sums[member, index] / totals[member], kind)
