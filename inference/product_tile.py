"""The innermost part of a product, in vectors of the processor's own width: some rows by some outputs.

A tile holds as many sums as a vector has lanes, one vector each, so that its sixteen (or eight) vectors add up across
their lanes into a single one, which is scaled, shifted, rounded and stored whole. LLVM left to itself makes vectors of
half the width on processors that have AVX-512 and adds each sum's lanes up by itself: together twice the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _lanes() -> int:
    """Float32 numbers in a vector of this processor."""
    features = llvmlite.binding.get_host_cpu_features()
    return 16 if features.get("avx512f") and features.get("avx512bw") and features.get("avx512dq") else 8


LANES: Final = _lanes()
# Tiles of so many rows, each of LANES / rows outputs.
TILE_ROWS: Final = (8, 4, 2, 1)

# numba's parts of code have no types.
_cgutils: Any = cgutils
_BYTE, _SHORT, _INT, _WHOLE, _FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_INTS, _FLOATS = ir.VectorType(_INT, LANES), ir.VectorType(_FLOAT, LANES)
_FUSED: Final = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
_NOT_A_NUMBER: Final = 0x7FC0
_LINE_BYTES: Final = 64
# Tried from none to 65,536: less comes too late, and more takes room from what is needed first.
AHEAD_BYTES: Final = 4_096


def _constants(value: int) -> Any:
    return ir.Constant(_INTS, [value] * LANES)


def _at(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _load(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(_at(builder, address, kind), align=1)


def _plus(builder: Any, address: Any, count: Any, size: int) -> Any:
    """The address `count` items of `size` bytes further on."""
    count = ir.Constant(_WHOLE, count) if isinstance(count, int) else count
    return builder.add(address, builder.mul(count, ir.Constant(_WHOLE, size)))


def _prefetch(builder: Any, address: Any) -> None:
    """Into all caches, for reading."""
    byte_pointer = _BYTE.as_pointer()
    function = _cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [byte_pointer, _INT, _INT, _INT]), "llvm.prefetch.p0"
    )
    kind, nearness, data = (ir.Constant(_INT, number) for number in (0, 3, 1))
    builder.call(function, [builder.inttoptr(address, byte_pointer), kind, nearness, data])


def _shuffled(builder: Any, left: Any, right: Any, lanes: Sequence[int]) -> Any:
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(_INT, len(lanes)), list(lanes)))


def _wide_bfloat16(builder: Any, address: Any) -> list[Any]:
    """The even ones of the next 2 * LANES numbers, and the odd ones: a pair is a whole number with both in it."""
    pairs = _load(builder, address, _INTS)
    evens = builder.shl(pairs, _constants(16))
    odds = builder.and_(pairs, _constants(0xFFFF0000))
    return [builder.bitcast(evens, _FLOATS), builder.bitcast(odds, _FLOATS)]


def _wide_int8(builder: Any, address: Any) -> list[Any]:
    """The next LANES numbers."""
    return [builder.sitofp(builder.sext(_load(builder, address, ir.VectorType(_BYTE, LANES)), _INTS), _FLOATS)]


def _narrow(builder: Any, numbers: Any) -> Any:
    """To the nearest bfloat16, ties to even; what is not a number stays so."""
    bits = builder.bitcast(numbers, _INTS)
    odd = builder.and_(builder.lshr(bits, _constants(16)), _constants(1))
    rounded = builder.lshr(builder.add(builder.add(bits, _constants(0x7FFF)), odd), _constants(16))
    is_none = builder.fcmp_unordered("uno", numbers, numbers)
    kept = builder.select(is_none, _constants(_NOT_A_NUMBER), rounded)
    return builder.trunc(kept, ir.VectorType(_SHORT, LANES))


def _added_up(builder: Any, vectors: Sequence[Any]) -> Any:
    """Lane i of the result is the sum of the i-th vector's lanes.

    Two vectors at a time become one that holds both halves' sums, until one vector is left; what its lanes then stand
    for follows from where they came from, and a last shuffle puts them in order.
    """
    low, high = range(0, LANES, 2), range(1, LANES, 2)
    pairs = [(vector, [number] * LANES) for number, vector in enumerate(vectors)]
    while len(pairs) > 1:
        joined = []
        for (left, of_left), (right, of_right) in zip(pairs[::2], pairs[1::2], strict=True):
            even = [*low, *(LANES + lane for lane in low)]
            odd = [*high, *(LANES + lane for lane in high)]
            total = builder.fadd(
                _shuffled(builder, left, right, even), _shuffled(builder, left, right, odd), flags=("reassoc",)
            )
            both = [*of_left, *of_right]
            joined.append((total, [both[lane] for lane in even]))
        pairs = joined
    total, stands_for = pairs[0]
    return _shuffled(builder, total, total, [stands_for.index(number) for number in range(LANES)])


def _repeated(builder: Any, address: Any, outputs: int) -> Any:
    """`outputs` numbers at the address, once for each row of the tile."""
    loaded = _load(builder, address, ir.VectorType(_FLOAT, outputs))
    if outputs == LANES:
        return loaded
    return _shuffled(builder, loaded, loaded, [lane % outputs for lane in range(LANES)])


@dataclass(frozen=True, slots=True)
class Weights:
    """How weights of a kind are stored: `bytes` each, `at_once` in the vectors that `widen` makes of an address."""

    bytes: int
    at_once: int
    widen: Callable[[Any, Any], list[Any]]
    has_scales: bool


BFLOAT16: Final = Weights(2, 2 * LANES, _wide_bfloat16, has_scales=False)
INT8: Final = Weights(1, LANES, _wide_int8, has_scales=True)
# By numba's type of the number that stands for a kind.
WEIGHTS: Final = {types.uint16: BFLOAT16, types.int8: INT8}


def _tile(kind: Weights, rows: int, builder: Any, arguments: Sequence[Any], *, ahead: bool) -> None:
    """The code of a tile of `rows` rows; with `ahead` it also fetches what later tiles need from memory."""
    rows_at, weights_at, scales_at, biases_at, out_at, width, all_outputs = arguments
    outputs = LANES // rows
    sums = [_cgutils.alloca_once(builder, _FLOATS) for _ in range(LANES)]
    for each in sums:
        builder.store(ir.Constant(_FLOATS, [0.0] * LANES), each)
    fused = _cgutils.get_or_insert_function(builder.module, _FUSED, f"llvm.fmuladd.v{LANES}f32")
    row_starts = [_plus(builder, rows_at, builder.mul(width, ir.Constant(_WHOLE, row)), 4) for row in range(rows)]
    starts = [
        _plus(builder, weights_at, builder.mul(width, ir.Constant(_WHOLE, output)), kind.bytes)
        for output in range(outputs)
    ]
    step = ir.Constant(_WHOLE, kind.at_once)
    with _cgutils.for_range_slice(builder, ir.Constant(_WHOLE, 0), width, step, inc=True) as (index, _count):
        if ahead:
            line = _plus(builder, _plus(builder, weights_at, AHEAD_BYTES, 1), index, outputs * kind.bytes)
            for offset in range(0, kind.at_once * outputs * kind.bytes, _LINE_BYTES):
                _prefetch(builder, _plus(builder, line, offset, 1))
        weights = [kind.widen(builder, _plus(builder, start, index, kind.bytes)) for start in starts]
        for row, start in enumerate(row_starts):
            for part in range(kind.at_once // LANES):
                numbers = _load(builder, _plus(builder, _plus(builder, start, index, 4), part * LANES, 4), _FLOATS)
                for output in range(outputs):
                    place = sums[row * outputs + output]
                    total = builder.call(fused, [numbers, weights[output][part], builder.load(place)])
                    builder.store(total, place)
    total = _added_up(builder, [builder.load(each) for each in sums])
    if kind.has_scales:
        total = builder.fmul(total, _repeated(builder, scales_at, outputs))
    result = _cgutils.alloca_once_value(builder, total)
    builder.store(total, result)
    with builder.if_then(_cgutils.is_not_null(builder, biases_at)):
        builder.store(builder.fadd(total, _repeated(builder, biases_at, outputs)), result)
    narrow = _narrow(builder, builder.load(result))
    for row in range(rows):
        part = _shuffled(builder, narrow, narrow, range(row * outputs, (row + 1) * outputs))
        to = _plus(builder, out_at, builder.mul(all_outputs, ir.Constant(_WHOLE, row)), 2)
        builder.store(part, _at(builder, to, ir.VectorType(_SHORT, outputs)), align=2)


def _compute_tile(
    _context: Any,
    kind: Any,
    rows: Any,
    ahead: Any,
    rows_at: Any,
    weights_at: Any,
    scales_at: Any,
    biases_at: Any,
    out_at: Any,
    width: Any,
    all_outputs: Any,
) -> Any:
    """Compute one tile of `rows` rows, which is one of TILE_ROWS, by the next LANES / rows outputs.

    `kind` is a number of the type that stands for the weights' (see WEIGHTS). The rows are float32 and of `width`
    numbers, in the order in which the kind's weights are widened; what comes out is bfloat16 and goes to `out_at`,
    where rows lie `all_outputs` apart. Scales and biases are of these outputs, and there are no biases at address 0.
    With `ahead` it fetches what later tiles need from memory.
    """
    weights = WEIGHTS[kind]

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _kind, rows, ahead, *addresses = arguments
        for count in TILE_ROWS:
            is_of_count = builder.icmp_signed("==", rows, ir.Constant(_WHOLE, count))
            with builder.if_then(is_of_count), builder.if_else(_cgutils.is_not_null(builder, ahead)) as (first, others):
                with first:
                    _tile(weights, count, builder, addresses, ahead=True)
                with others:
                    _tile(weights, count, builder, addresses, ahead=False)
        return context.get_dummy_value()

    return types.void(kind, *[types.int64] * 9), code


compute_tile: Any = intrinsic(_compute_tile)
