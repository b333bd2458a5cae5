"""Matrix products by weight layouts: as stored, packed for oneDNN, int8, and int4 for a few rows at a time."""

# ruff: noqa: SLF001 - torch offers these kernels, which its own compiler emits, under private names only
from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from inference.compute_threads import can_share
from inference.product_kernel import multiply, padded

# Up to so many rows torch's own product of int8 wins beside torch's of bfloat16; native products always do,
# which took 0.67, 0.62 and 0.52 times as long for 1, 4 and 8 rows on 2 cores with AVX-512.
INT8_ROWS: Final = 6
# Up to so many rows torch's own product of int4 wins: beside native ones it took 0.45, 0.54 and 0.90 times as long as
# bfloat16 for 1, 4 and 6 rows, and 1.08 times for 8.
INT4_ROWS: Final = 12
INT4_ROWS_BESIDE_NATIVE: Final = 6
# So many weights share a scale and a centre: the blocks of GGUF's Q4_1.
INT4_BLOCK: Final = 32
# Of a matrix's weights.
ROUNDED_AT_ONCE: Final = 2**20
# The packed layout is chosen for a typical batch; every other number of rows works too.
PACKED_FOR_ROWS: Final = 16


@dataclass(frozen=True, slots=True)
class Guessing:
    """What a step with guessed tokens may be: of at most `rows` rows, 0 where nothing can be guessed.

    It takes as much longer than a plain step as `price` plain steps.
    """

    rows: int
    price: float


# Measured on 2 cores: a step of 8 rows with weights in bfloat16 took 1.26 times as long as one of a single row.
NO_GUESSING: Final = Guessing(0, 0)
GUESSING: Final = Guessing(16, 0.3)
# Native products of 4 rows took 1.3 times as long as of a single one in bfloat16 and in int8, of 8 rows 1.4 and 1.5.
NATIVE_GUESSING: Final = Guessing(4, 0.3)
NATIVE_INT8_GUESSING: Final = Guessing(4, 0.5)


class Linear(Protocol):
    """`(rows, in)` to `(rows, out)`."""

    @property
    def guessing(self) -> Guessing:
        """What products of a few rows cost."""

    @property
    def is_batch_invariant(self) -> bool:
        """Whether a row comes out the same to the last bit whatever rows it is multiplied with."""

    def __call__(self, rows: Tensor) -> Tensor: ...


LinearMaker = Callable[[Tensor, Tensor | None], Linear]


class PlainLinear:
    """The weights as they are."""

    __slots__ = ("_bias", "_weight")
    guessing = GUESSING
    is_batch_invariant = False

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        return linear(rows, self._weight, self._bias)


class NativeLinear(PlainLinear):
    """Weights as they are stored, multiplied in float32, for processors that have no bfloat16 tiles.

    They are bfloat16, or int8 with a float32 scale per output.
    """

    __slots__ = ("_outputs", "_scales", "_wide_bias", "_width")
    guessing = NATIVE_GUESSING
    is_batch_invariant = True

    def __init__(self, weight: Tensor, bias: Tensor | None, scales: Tensor | None = None) -> None:
        super().__init__(padded(weight), bias)
        self._outputs, self._width = weight.shape
        self._scales = None if scales is None else self._of_outputs(scales)
        self._wide_bias = None if bias is None else self._of_outputs(bias.float())

    def _of_outputs(self, numbers: Tensor) -> Tensor:
        return pad(numbers, (0, self._weight.shape[0] - self._outputs))

    def __call__(self, rows: Tensor) -> Tensor:
        if self._weight.shape == (self._outputs, self._width):
            return multiply(rows, self._weight, self._scales, self._wide_bias)
        rows = pad(rows, (0, self._weight.shape[1] - self._width))
        return multiply(rows, self._weight, self._scales, self._wide_bias)[:, : self._outputs].contiguous()


class PackedLinear:
    """bfloat16 weights in oneDNN's blocked layout, for processors with bfloat16 tiles."""

    __slots__ = ("_bias", "_weight")
    guessing = GUESSING
    is_batch_invariant = False

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_FOR_ROWS)
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return product


class RoundedLinear:
    """Rounded weights with a product of their own for up to `most_rows` rows; more go through another layout."""

    __slots__ = ("_bias", "_many_rows", "_most_rows", "guessing")
    guessing: Guessing

    def __init__(self, bias: Tensor | None, many_rows: Linear, most_rows: int, guessing: Guessing) -> None:
        self._bias = bias
        self._many_rows = many_rows
        self._most_rows = most_rows
        self.guessing = guessing

    @property
    def is_batch_invariant(self) -> bool:
        """With two ways to multiply, how many rows there are decides between them."""
        return self._most_rows == 0 and self._many_rows.is_batch_invariant

    def _product(self, rows: Tensor) -> Tensor:
        raise NotImplementedError

    def __call__(self, rows: Tensor) -> Tensor:
        if rows.shape[0] > self._most_rows:
            return self._many_rows(rows)
        product = self._product(rows)
        return product if self._bias is None else product.add_(self._bias)


class Int8Linear(RoundedLinear):
    """Weights rounded to int8 with a scale per output; many rows need them in bfloat16, except by native products."""

    __slots__ = ("_scales", "_weight")

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        scales = weight.new_empty(len(weight), dtype=torch.bfloat16)
        # What stays is made before what goes: blocks that came between these would leave holes too small to use again.
        self._weight = torch.empty_like(weight, dtype=torch.int8, memory_format=torch.contiguous_format)
        self._scales = scales
        for part in _parts(weight):
            wide = weight[part].to(torch.float32, copy=True)
            largest = wide.abs().amax(dim=1)
            scales[part] = (largest / 127).clamp(min=torch.finfo(torch.bfloat16).tiny)
            self._weight[part] = wide.div_(scales[part].float()[:, None]).round_().clamp_(-127, 127)
        make_linear = bfloat16_maker()
        if make_linear is NativeLinear:
            many_rows: Linear = NativeLinear(self._weight, bias, scales.float())
            super().__init__(bias, many_rows, 0, NATIVE_INT8_GUESSING)
        else:
            # Whole numbers up to 127 are exact in bfloat16, so their products round once, as from float32.
            many_rows = make_linear(self._weight.to(torch.bfloat16).mul_(scales[:, None]), bias)
            super().__init__(bias, many_rows, INT8_ROWS, Guessing(INT8_ROWS, 0.6))

    def _product(self, rows: Tensor) -> Tensor:
        return torch._weight_int8pack_mm(rows, self._weight, self._scales)


class Int4Linear(RoundedLinear):
    """Weights rounded to 16 levels between the least and the greatest of each block of 32, as GGUF's Q4_1 has them.

    Every block of Q4_1 holds both of its ends, so weights that came out of such a file get the file's own levels again.
    Raises ValueError for a width that is not a multiple of the block's.
    """

    __slots__ = ("_packed", "_scales_and_centres")

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        rounded = torch.empty_like(weight, dtype=torch.bfloat16, memory_format=torch.contiguous_format)
        levels = torch.empty_like(rounded, dtype=torch.int32)
        scales_and_centres = weight.new_empty((*_blocks(weight).shape[:2], 2), dtype=torch.bfloat16)
        for part in _parts(weight):
            whole, scales, centres = int4_blocks(weight[part])
            levels[part] = whole.flatten(1)
            scales_and_centres[part] = torch.stack((scales, centres), dim=-1)
            wide = torch.addcmul(centres.float()[..., None], (whole - 8).float(), scales.float()[..., None])
            rounded[part] = wide.flatten(1)
        self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)
        del levels
        self._scales_and_centres = scales_and_centres.transpose(0, 1).contiguous()
        make_linear = bfloat16_maker()
        most_rows = INT4_ROWS_BESIDE_NATIVE if make_linear is NativeLinear else INT4_ROWS
        many_rows = make_linear(rounded, bias)
        super().__init__(bias, many_rows, most_rows, Guessing(most_rows, 0.8))

    def _product(self, rows: Tensor) -> Tensor:
        product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            rows, self._packed, INT4_BLOCK, self._scales_and_centres
        )
        return product


def int4_blocks(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Levels 0 to 15 as `(out, blocks, 32)`, and per block the scale and the centre (level 8), both bfloat16."""
    blocks = _blocks(weight.float())
    least, greatest = blocks.aminmax(dim=-1)
    scales = ((greatest - least) / 15).clamp(min=torch.finfo(torch.bfloat16).tiny)
    levels = ((blocks - least[..., None]) / scales[..., None]).round_().clamp_(0, 15).to(torch.int32)
    return levels, scales.to(torch.bfloat16), (least + 8 * scales).to(torch.bfloat16)


def _blocks(weight: Tensor) -> Tensor:
    if weight.shape[1] % INT4_BLOCK:
        raise ValueError(f"int4 weights come in blocks of {INT4_BLOCK}, and a layer is {weight.shape[1]} wide")
    return weight.view(len(weight), -1, INT4_BLOCK)


def _parts(weight: Tensor) -> Iterator[slice]:
    """Rows that are rounded together, in float32: an output layer as a whole would take more memory than any other."""
    rows = max(1, ROUNDED_AT_ONCE // weight.shape[1])
    return (slice(first, first + rows) for first in range(0, len(weight), rows))


def bfloat16_maker() -> LinearMaker:
    """The best layout for bfloat16 that this processor and this torch offer; only on x86 were they measured."""
    has_packing = torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    is_packing_best = torch.cpu._is_amx_tile_supported() or platform.machine() not in {"x86_64", "AMD64"}
    if has_packing and is_packing_best and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return PackedLinear
    return NativeLinear if can_share() else PlainLinear
