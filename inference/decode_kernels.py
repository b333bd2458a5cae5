"""The small operations between a decoder layer's matrix products, each one native call on tensors in place.

Between two products that stream weights through the caches, every torch operation begins cold: 20 to 70 µs instead of 3
to 10, a dozen per layer. Three compiled functions with little code take their place. They let go of the interpreter's
lock, take addresses of contiguous tensors (what torch owns stays its own), and compute in float32 whatever those hold.
`kind` is a number of the type that stands for the tensors' dtype, see `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

# numba has no bfloat16: its bits stand for it.
KINDS: Final = {torch.bfloat16: np.uint16(0), torch.float32: np.float32(0)}

# Sums may be reordered, which vectors need; what is not a number must stay so, since the sampler looks for it.
_FAST: Final = {"reassoc", "contract", "nsz", "arcp"}
_LOG2_E: Final = np.float32(1.4426950408889634)

_inlined = njit(fastmath=_FAST, error_model="numpy")


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """The function in machine code, made at its first call and kept on disk, since that takes seconds."""

    def made(*, cache: bool) -> Callable[..., None]:
        dispatcher: Callable[..., None] = njit(nogil=True, fastmath=_FAST, error_model="numpy", cache=cache)(function)
        return dispatcher

    try:
        return made(cache=True)
    except RuntimeError:  # neither this folder nor the user's own for caches can be written
        return made(cache=False)


def _pointer_code(_context: Any, address: Any, kind: Any) -> Any:
    """The address as a pointer to items of the kind."""
    result = types.CPointer(kind)  # type: ignore[no-untyped-call]

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(result))

    return result(address, kind), code


def _float_of_code(_context: Any, bits: Any) -> Any:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), code


def _bits_of_code(_context: Any, number: Any) -> Any:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), code


_pointer: Any = intrinsic(_pointer_code)
_float_of: Any = intrinsic(_float_of_code)
_bits_of: Any = intrinsic(_bits_of_code)


def _wide(stored: Any) -> Any:
    """The stored number in float32."""
    raise NotImplementedError("this runs compiled only")


def _narrow(number: Any, kind: Any) -> Any:
    """A float32 number in the form that is stored."""
    raise NotImplementedError("this runs compiled only")


@overload(_wide, strict=False)
def _compile_wide(stored: Any) -> Any:
    if stored == types.uint16:
        return lambda stored: _float_of(np.uint32(stored) << np.uint32(16))
    return lambda stored: stored


@overload(_narrow, strict=False)
def _compile_narrow(number: Any, kind: Any) -> Any:
    if kind == types.uint16:
        return _to_bfloat16
    return _as_it_is


def _as_it_is(number: Any, kind: Any) -> Any:
    return number


def _to_bfloat16(number: Any, kind: Any) -> Any:
    bits = _bits_of(number)
    # To the nearest, ties to even; what is not a number would round to infinity.
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.uint16(rounded) if number == number else np.uint16(0x7FC0)  # noqa: PLR0124 - NaN is unlike itself


@_inlined
def _exponential(number: Any) -> Any:
    """e to the number within 2e-7, in arithmetic that the compiler makes vectors of; clamped at ±87."""
    clamped = number if number < np.float32(87) else np.float32(87)  # noqa: FURB136 - min and max prevent vectors
    clamped = clamped if clamped > np.float32(-87) else np.float32(-87)  # noqa: FURB136
    clamped *= _LOG2_E
    whole = np.int32(clamped) - (np.int32(1) if clamped < np.float32(0) else np.int32(0))
    part = clamped - np.float32(whole)
    series = np.float32(1.5403530393381606e-4)
    series = series * part + np.float32(1.3333558146428443e-3)
    series = series * part + np.float32(9.6181291076284772e-3)
    series = series * part + np.float32(5.5504108664821580e-2)
    series = series * part + np.float32(2.4022650695910072e-1)
    series = series * part + np.float32(6.9314718055994531e-1)
    series = series * part + np.float32(1.0)
    return series * _float_of(np.uint32((whole + np.int32(127)) << np.int32(23)))


@_compiled
def add_and_normalise(
    kind: Any, rows_at: int, added_at: int, weight_at: int, out_at: int, count: int, width: int, epsilon: float
) -> None:
    """Add to `count` rows in place what stands at `added_at` (0: nothing), and write them normalised, times weight."""
    rows, added = _pointer(rows_at, kind), _pointer(added_at, kind)
    weight, out = _pointer(weight_at, kind), _pointer(out_at, kind)
    for row in range(count):
        first = row * width
        if added_at != 0:
            for index in range(first, first + width):
                rows[index] = _narrow(_wide(rows[index]) + _wide(added[index]), kind)
        squares = np.float32(0)
        for index in range(first, first + width):
            number = _wide(rows[index])
            squares += number * number
        scale = np.float32(1 / np.sqrt(squares / np.float32(width) + np.float32(epsilon)))
        for index in range(width):
            out[first + index] = _narrow(_wide(rows[first + index]) * scale * _wide(weight[index]), kind)


@_compiled
def gate(kind: Any, gates_and_ups_at: int, out_at: int, count: int, width: int) -> None:
    """silu(gate) * up of `count` rows that hold `width` gates, then `width` ups."""
    gates_and_ups, out = _pointer(gates_and_ups_at, kind), _pointer(out_at, kind)
    for row in range(count):
        first = 2 * row * width
        for index in range(width):
            number = _wide(gates_and_ups[first + index])
            opened = number / (np.float32(1) + _exponential(-number))
            out[row * width + index] = _narrow(opened * _wide(gates_and_ups[first + width + index]), kind)


@_compiled
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
    states, out, store = _pointer(states_at, kind), _pointer(out_at, kind), _pointer(store_at, kind)
    cosines, sines = _pointer(cosines_at, kind), _pointer(sines_at, kind)
    slots, positions = _pointer(slots_at, count), _pointer(positions_at, count)
    shared, half = heads // groups, size // 2
    queries = np.empty((heads, size), dtype=np.float32)
    weights = np.empty((shared, capacity), dtype=np.float32)
    sums = np.empty((shared, size), dtype=np.float32)
    totals = np.empty(shared, dtype=np.float32)
    wide = np.empty(size, dtype=np.float32)
    for row in range(count):
        position = positions[row]
        slot = slots[row] * 2 * groups * capacity * size
        state = row * (heads + 2 * groups) * size
        turn = row * size
        for head in range(heads + groups):
            begin = state + head * size
            for index in range(half):
                left, right = _wide(states[begin + index]), _wide(states[begin + half + index])
                first = left * _wide(cosines[turn + index]) + right * _wide(sines[turn + index])
                second = right * _wide(cosines[turn + half + index]) + left * _wide(sines[turn + half + index])
                if head < heads:
                    queries[head, index] = _wide(_narrow(first, kind)) * np.float32(scaling)
                    queries[head, half + index] = _wide(_narrow(second, kind)) * np.float32(scaling)
                else:
                    to = slot + ((head - heads) * capacity + position) * size
                    store[to + index] = _narrow(first, kind)
                    store[to + half + index] = _narrow(second, kind)
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
                    wide[index] = _wide(store[keys + key * size + index])
                for member in range(shared):
                    score = np.float32(0)
                    for index in range(size):
                        score += queries[group * shared + member, index] * wide[index]
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
                    weight = _exponential(weights[member, key] - greatest)
                    weights[member, key] = weight
                    total += weight
                totals[member] = total
            sums[:] = np.float32(0)
            for key in range(start, position + 1):
                for index in range(size):
                    wide[index] = _wide(store[values + key * size + index])
                for member in range(shared):
                    weight = weights[member, key]
                    for index in range(size):
                        sums[member, index] += weight * wide[index]
            for member in range(shared):
                to = (row * heads + group * shared + member) * size
                for index in range(size):
                    out[to + index] = _narrow(sums[member, index] / totals[member], kind)
