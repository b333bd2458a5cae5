"""Products of rows with weights that are widened to float32 in registers, on as many threads as torch has.

For processors without bfloat16 tiles (AMX). With AVX2 alone torch's own products of bfloat16 go number by number, and
with AVX512-BF16 they reach a quarter to a half of what the same cores multiply in float32; weights that are widened
first go through the caches twice. A product is one parallel region, whose threads take outputs as they get to it: on
cores that do something else as well, none waits for a share of a slower one. The weights of a share come from memory
once and stay in the core's cache for all rows of a region, which each thread widens for itself.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from inference.compute_threads import run_shared, shared
from inference.crew import NUMBERS, end_share, is_left_behind, take_share
from inference.native_code import float_of, inlined, pointer, wide
from inference.product_tile import LANES, WEIGHTS, compute_tile

# A share: whole tiles whatever the rows, few enough that the threads end together, and enough that many rows, whose
# numbers are read anew for each share, stay cheap. Half of it took up to a tenth longer, the triple as well.
OUTPUTS_AT_ONCE: Final = 4 * LANES
# So many of the rows' float32 numbers fit in a core's second cache beside a share's weights.
CACHED_NUMBERS: Final = 2**18
# Of a row, for all kinds of weights.
WIDTH_MULTIPLE: Final = max(kind.at_once for kind in WEIGHTS.values())

_BFLOAT16: Final = np.uint16(0)
# Float32 numbers in a cache line.
_LINE: Final = 16

# What a product's threads read: addresses (0: there is none), the numbers of rows, of numbers in one, and of outputs,
# and how many bytes a weight has.
_ROWS, _WEIGHTS, _SCALES, _BIASES, _OUT, _COUNT, _WIDTH, _OUTPUTS, _WEIGHT_BYTES = range(NUMBERS, NUMBERS + 9)


@inlined
def _widen_pairs(given_at: int, to: Any) -> None:
    """Of every 2 * LANES numbers the even ones, then the odd ones: a pair is a whole number with both in it."""
    pairs = pointer(given_at, np.uint32(0))
    for block in range(0, len(to) // 2, LANES):
        for lane in range(LANES):
            pair = pairs[block + lane]
            to[2 * block + lane] = float_of(np.uint32(pair << np.uint32(16)))
            to[2 * block + LANES + lane] = float_of(np.uint32(pair & np.uint32(0xFFFF0000)))


@inlined
def _widen(given_at: int, to: Any) -> None:
    given = pointer(given_at, _BFLOAT16)
    for index in range(len(to)):
        to[index] = wide(given[index])


@inlined
def _tile_rows(left: int) -> int:
    """A tile of 8 or 4 costs less than the smaller ones it takes the place of."""
    return 8 if left > 4 else 4 if left > 2 else left


@inlined
def _multiply(kind: Any, order: Any, rows_at: int, row: int, begin: int, end: int) -> None:
    """Outputs `begin` up to `end` of the rows of a tile, of which the first stands at `rows_at`."""
    width, all_outputs, biases_at = order[_WIDTH], order[_OUTPUTS], order[_BIASES]
    rows = _tile_rows(order[_COUNT] - row)
    outputs = LANES // rows
    for left in range(begin, end, outputs):
        # What a tile would have beyond the last output it has before: computed twice, by two threads perhaps, to the
        # same.
        first = max(0, min(left, end - outputs))
        compute_tile(
            kind,
            rows,
            # The first rows bring the weights into the cache.
            1 if row == 0 else 0,
            rows_at,
            order[_WEIGHTS] + first * width * order[_WEIGHT_BYTES],
            order[_SCALES] + 4 * first,
            biases_at + 4 * first if biases_at != 0 else 0,
            order[_OUT] + 2 * (row * all_outputs + first),
            width,
            all_outputs,
        )


@inlined
def _take_shares(kind: Any, order_at: int, helper_at: int) -> None:
    """What each thread does with an order."""
    order = pointer(order_at, np.int64(0))
    count, width, outputs = order[_COUNT], order[_WIDTH], order[_OUTPUTS]
    # With room for the rows that fill a last tile up, which come to what nobody looks at, and for the border of a
    # cache line, at which vectors begin: each that crosses one is read twice.
    room = np.zeros((count + 3) * width + _LINE, dtype=np.float32)
    unaligned = room.ctypes.data // 4 % _LINE
    rows = room[(_LINE - unaligned) % _LINE :][: (count + 3) * width]
    if order[_WEIGHT_BYTES] == 2:
        _widen_pairs(order[_ROWS], rows[: count * width])
    else:
        _widen(order[_ROWS], rows[: count * width])
    # Behind the lead's back the rows may have become those of a later layer.
    if is_left_behind(helper_at):
        return
    while True:
        share = take_share(order_at, helper_at)
        if share < 0:
            return
        begin = share * OUTPUTS_AT_ONCE
        end = min(begin + OUTPUTS_AT_ONCE, outputs)
        for row in range(0, count, 8):
            _multiply(kind, order, rows.ctypes.data + 4 * row * width, row, begin, end)
        end_share(order_at, share)


def _bfloat16_shares(order_at: int, helper_at: int) -> None:
    _take_shares(_BFLOAT16, order_at, helper_at)


def _int8_shares(order_at: int, helper_at: int) -> None:
    _take_shares(np.int8(0), order_at, helper_at)


_SHARES: Final = {torch.bfloat16: _bfloat16_shares, torch.int8: _int8_shares}


@cache
def _compiled_shares(dtype: torch.dtype) -> Any:
    """Compiled when the first product is wanted, which on other processors is never."""
    return shared(_SHARES[dtype])


def multiply(rows: Tensor, weights: Tensor, scales: Tensor | None = None, biases: Tensor | None = None) -> Tensor:
    """bfloat16 `(rows, in)` by contiguous `(out, in)` weights, bfloat16 or int8, to `(rows, out)` in bfloat16.

    Sums are kept in float32, times the outputs' float32 scales, which int8 has, and plus their float32 biases where
    there are any, and rounded once. `in` is a multiple of WIDTH_MULTIPLE and `out` at least LANES, see `padded`. The
    interpreter's lock is free meanwhile. Raises ValueError for what does not fit together.
    """
    of_outputs = [each for each in (scales, biases) if each is not None]
    outputs, width = weights.shape
    if (
        rows.shape[1:] != (width,)
        or width % WIDTH_MULTIPLE
        or outputs < LANES
        or rows.dtype is not torch.bfloat16
        or (scales is None) != (weights.dtype is torch.bfloat16)
        or weights.dtype not in _SHARES
        or any(each.shape != weights.shape[:1] or each.dtype is not torch.float32 for each in of_outputs)
        or not all(each.is_contiguous() and each.device.type == "cpu" for each in (weights, *of_outputs))
    ):
        raise ValueError(f"rows {tuple(rows.shape)} and weights {tuple(weights.shape)} have no product here")
    rows = rows.contiguous()
    count = rows.shape[0]
    rest = count % 8
    # What fills a last tile up comes out as well.
    computed = count - rest + _tile_rows.py_func(rest)
    out = torch.empty((computed, outputs), dtype=torch.bfloat16)
    shares, threads = _compiled_shares(weights.dtype), torch.get_num_threads()
    is_written_later = False
    at_once = max(8, CACHED_NUMBERS // width // 8 * 8)
    for first in range(0, count, at_once):
        numbers = (
            rows.data_ptr() + first * width * rows.element_size(),
            weights.data_ptr(),
            0 if scales is None else scales.data_ptr(),
            0 if biases is None else biases.data_ptr(),
            out.data_ptr() + first * outputs * out.element_size(),
            min(at_once, count - first),
            width,
            outputs,
            weights.element_size(),
        )
        is_written_later |= run_shared(
            shares, numbers, -(-outputs // OUTPUTS_AT_ONCE), threads=threads, keep=(rows, weights, scales, biases, out)
        )
    # What comes out is the caller's to change: heads are normalised in place, adapters add to it.
    return out[:count].clone() if is_written_later else out[:count]


def padded(weights: Tensor) -> Tensor:
    """The weights with as many zeros as products want; contiguous, and themselves where nothing is missing."""
    outputs, width = weights.shape
    missing = (0, -width % WIDTH_MULTIPLE, 0, max(0, LANES - outputs))
    # What is not padded would be copied as well.
    return (pad(weights, missing) if any(missing) else weights).contiguous()
