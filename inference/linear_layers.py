"""Matrix products by weight layouts: as stored, packed for oneDNN, or int8 for a few rows at a time."""

# ruff: noqa: SLF001 - torch offers these kernels, which its own compiler emits, under private names only
from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear

# Up to so many rows reading half the bytes wins; beyond, the bfloat16 products do. On 2 cores with AVX512-BF16 int8 won
# clearly at 1, 2 and 4 rows and lost at 8 and more; the border between 4 and 8 is a guess.
INT8_ROWS: Final = 6
# The packed layout is chosen for a typical batch; every other number of rows works too.
PACKED_FOR_ROWS: Final = 16


class Linear(Protocol):
    """`(rows, in)` to `(rows, out)`."""

    def __call__(self, rows: Tensor) -> Tensor: ...

    def added_to(self, residual: Tensor, rows: Tensor) -> Tensor:
        """`residual` plus the product, possibly in the residual's memory."""


LinearMaker = Callable[[Tensor, Tensor | None], Linear]


class PlainLinear:
    """The weights as they are."""

    __slots__ = ("_bias", "_weight")

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        return linear(rows, self._weight, self._bias)

    def added_to(self, residual: Tensor, rows: Tensor) -> Tensor:
        return residual.add_(self(rows))


class PackedLinear:
    """bfloat16 weights in oneDNN's blocked layout: about a quarter faster, the sum with the residual included."""

    __slots__ = ("_bias", "_weight")

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_FOR_ROWS)
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return product

    def added_to(self, residual: Tensor, rows: Tensor) -> Tensor:
        total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(rows, residual, self._weight, self._bias, "add")
        return total


class Int8Linear:
    """Weights rounded to int8 with a scale per output; many rows use the same rounded weights in bfloat16."""

    __slots__ = ("_bias", "_many_rows", "_scales", "_weight")

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        # In place, because an output layer in float32 is the largest thing that loading needs room for.
        wide = weight.to(torch.float32, copy=True)
        largest = weight.abs().amax(dim=1).float()
        scales = (largest / 127).clamp(min=torch.finfo(torch.bfloat16).tiny).to(torch.bfloat16)
        self._weight = wide.div_(scales.float()[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        self._scales = scales
        self._bias = bias
        del wide
        # Whole numbers up to 127 are exact in bfloat16, so their products round once, as from float32.
        self._many_rows = packed_maker()(self._weight.to(torch.bfloat16).mul_(scales[:, None]), bias)

    def __call__(self, rows: Tensor) -> Tensor:
        if rows.shape[0] > INT8_ROWS:
            return self._many_rows(rows)
        product = torch._weight_int8pack_mm(rows, self._weight, self._scales)
        return product if self._bias is None else product.add_(self._bias)

    def added_to(self, residual: Tensor, rows: Tensor) -> Tensor:
        if rows.shape[0] > INT8_ROWS:
            return self._many_rows.added_to(residual, rows)
        return residual.add_(self(rows))


def packed_maker() -> LinearMaker:
    """The best layout for bfloat16 that this processor and this torch offer."""
    has_packing = hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    if torch._C._has_mkldnn and has_packing and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return PackedLinear
    return PlainLinear
