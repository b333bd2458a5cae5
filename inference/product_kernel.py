"""Products of rows with weights that are widened to float32 in registers, on all of torch's threads.

For processors that multiply float32 alone (AVX2): torch's own products of bfloat16 go number by number there, and
weights that are widened first go through the caches twice. Weights are read once for every `ROWS_AT_ONCE` rows, four
rows and two outputs at a time, which is what sixteen vector registers hold. A product is one parallel region, whose
threads take outputs as they get to it: on cores that do something else as well, none waits for a share of a slower one.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from inference.compute_threads import NUMBERS, run_shared, shared, take_shares
from inference.native_code import inlined, narrow, pointer, wide

# Rows of 1,536 numbers and the weights of as many outputs as a thread takes stay in half a mebibyte of cache.
ROWS_AT_ONCE: Final = 32
OUTPUTS_AT_ONCE: Final = 64

_FLOAT: Final = np.float32(0)
_BFLOAT16: Final = np.uint16(0)


@inlined
def _store(out: Any, at: int, total: Any, scale: Any, bias: Any) -> None:
    out[at] = narrow(total * scale + bias, _BFLOAT16)


@inlined
def _multiply(
    kind: Any,
    rows_at: int,
    weights_at: int,
    scales_at: int,
    biases_at: int,
    out_at: int,
    count: int,
    width: int,
    outputs: int,
    begin: int,
    end: int,
) -> None:
    """Outputs `begin` up to `end` of `count` float32 rows, in bfloat16; there are no scales or biases at address 0."""
    rows, weights, out = pointer(rows_at, _FLOAT), pointer(weights_at, kind), pointer(out_at, _BFLOAT16)
    scales, biases = pointer(scales_at, _FLOAT), pointer(biases_at, _FLOAT)
    for first_row in range(0, count, ROWS_AT_ONCE):
        end_row = min(first_row + ROWS_AT_ONCE, count)
        for left in range(begin, end, 2):
            # What is odd is computed twice, which keeps one loop for all.
            right = min(left + 1, end - 1)
            left_at, right_at = left * width, right * width
            left_scale = scales[left] if scales_at != 0 else np.float32(1)
            right_scale = scales[right] if scales_at != 0 else np.float32(1)
            left_bias = biases[left] if biases_at != 0 else np.float32(0)
            right_bias = biases[right] if biases_at != 0 else np.float32(0)
            row = first_row
            while row < end_row:
                if row + 1 == end_row:
                    at = row * width
                    lone_left = lone_right = np.float32(0)
                    for index in range(width):
                        number = rows[at + index]
                        lone_left += wide(weights[left_at + index]) * number
                        lone_right += wide(weights[right_at + index]) * number
                    _store(out, row * outputs + left, lone_left, left_scale, left_bias)
                    _store(out, row * outputs + right, lone_right, right_scale, right_bias)
                    break
                second = row + 1
                third, fourth = min(row + 2, end_row - 1), min(row + 3, end_row - 1)
                at_first, at_second, at_third, at_fourth = row * width, second * width, third * width, fourth * width
                left_first = left_second = left_third = left_fourth = np.float32(0)
                right_first = right_second = right_third = right_fourth = np.float32(0)
                for index in range(width):
                    left_weight, right_weight = wide(weights[left_at + index]), wide(weights[right_at + index])
                    number = rows[at_first + index]
                    left_first += left_weight * number
                    right_first += right_weight * number
                    number = rows[at_second + index]
                    left_second += left_weight * number
                    right_second += right_weight * number
                    number = rows[at_third + index]
                    left_third += left_weight * number
                    right_third += right_weight * number
                    number = rows[at_fourth + index]
                    left_fourth += left_weight * number
                    right_fourth += right_weight * number
                _store(out, row * outputs + left, left_first, left_scale, left_bias)
                _store(out, row * outputs + right, right_first, right_scale, right_bias)
                _store(out, second * outputs + left, left_second, left_scale, left_bias)
                _store(out, second * outputs + right, right_second, right_scale, right_bias)
                _store(out, third * outputs + left, left_third, left_scale, left_bias)
                _store(out, third * outputs + right, right_third, right_scale, right_bias)
                _store(out, fourth * outputs + left, left_fourth, left_scale, left_bias)
                _store(out, fourth * outputs + right, right_fourth, right_scale, right_bias)
                row += 4


# What a product's threads read: addresses (0: there is none), the numbers of rows, of numbers in one, and of outputs.
_ROWS, _WEIGHTS, _SCALES, _BIASES, _OUT, _COUNT, _WIDTH, _OUTPUTS = range(NUMBERS, NUMBERS + 8)


@inlined
def _take_shares(kind: Any, order: Any) -> None:
    while True:
        begin = take_shares(order, OUTPUTS_AT_ONCE)
        if begin >= order[_OUTPUTS]:
            return
        _multiply(
            kind,
            order[_ROWS],
            order[_WEIGHTS],
            order[_SCALES],
            order[_BIASES],
            order[_OUT],
            order[_COUNT],
            order[_WIDTH],
            order[_OUTPUTS],
            begin,
            min(begin + OUTPUTS_AT_ONCE, order[_OUTPUTS]),
        )


def _bfloat16_shares(order: Any) -> None:
    _take_shares(_BFLOAT16, order)


def _int8_shares(order: Any) -> None:
    _take_shares(np.int8(0), order)


_SHARES: Final = {torch.bfloat16: _bfloat16_shares, torch.int8: _int8_shares}


@cache
def _compiled_shares(dtype: torch.dtype) -> Any:
    """Compiled when the first product is wanted, which on other processors is never."""
    return shared(_SHARES[dtype])


def multiply(rows: Tensor, weights: Tensor, scales: Tensor | None = None, biases: Tensor | None = None) -> Tensor:
    """`(rows, in)` by contiguous `(out, in)` weights, bfloat16 or int8, to `(rows, out)` in bfloat16.

    Sums are kept in float32, times the outputs' float32 scales and plus their float32 biases where there are any, and
    rounded once. The interpreter's lock is free meanwhile. Raises ValueError for what does not fit together.
    """
    of_outputs = [each for each in (scales, biases) if each is not None]
    if (
        rows.shape[1:] != weights.shape[1:]
        or not weights.is_contiguous()
        or any(each.shape != weights.shape[:1] or each.dtype is not torch.float32 for each in of_outputs)
    ):
        raise ValueError(f"rows {tuple(rows.shape)} and weights {tuple(weights.shape)} have no product here")
    wide_rows = rows.float().contiguous()
    outputs, width = weights.shape
    out = torch.empty((len(rows), outputs), dtype=torch.bfloat16)
    numbers = (
        wide_rows.data_ptr(),
        weights.data_ptr(),
        0 if scales is None else scales.data_ptr(),
        0 if biases is None else biases.data_ptr(),
        out.data_ptr(),
        len(rows),
        width,
        outputs,
    )
    run_shared(_compiled_shares(weights.dtype), numbers, threads=torch.get_num_threads())
    return out
