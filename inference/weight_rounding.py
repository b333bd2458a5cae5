"""The engine's weight-only roundings in numpy, so that what they change can be measured without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.tensor_values import Floats, UnreadableValues
from inference.weight_comparison import Rounding

INT4_BLOCK: Final = 32
_SMALLEST: Final = np.float32(2.0**-126)


def int8_rows(rows: Floats) -> Floats:
    """Each row as whole numbers up to 127 times a scale in bfloat16, as inference.linear_layers makes them."""
    wide = rows.astype(np.float32)
    scales = to_bfloat16(np.maximum(np.abs(wide).max(axis=1) / np.float32(127), _SMALLEST))[:, None]
    return np.clip(np.round(wide / scales), -127, 127) * scales


def to_bfloat16(values: NDArray[Any]) -> NDArray[np.float32]:
    """Rounded to the nearest bfloat16, ties to even, and kept in float32."""
    bits = values.astype(np.float32).view(np.uint32)
    rounded = (bits + (((bits >> 16) & 1) + 0x7FFF)) & 0xFFFF0000
    return rounded.astype(np.uint32).view(np.float32)


def int4_rows(rows: Floats) -> Floats:
    """Each block of 32 values on 16 levels between its ends, scale and centre in bfloat16: GGUF's Q4_1, as there."""
    wide = rows.astype(np.float32)
    if wide.shape[1] % INT4_BLOCK:
        raise UnreadableValues(f"int4 comes in blocks of {INT4_BLOCK}, and a row has {wide.shape[1]} values.")
    blocks = wide.reshape(len(wide), -1, INT4_BLOCK)
    least = blocks.min(axis=2, keepdims=True)
    scales = np.maximum((blocks.max(axis=2, keepdims=True) - least) / np.float32(15), _SMALLEST)
    levels = np.clip(np.round((blocks - least) / scales), 0, 15)
    rounded: NDArray[np.float32] = to_bfloat16(least + np.float32(8) * scales) + (levels - 8) * to_bfloat16(scales)
    return rounded.reshape(wide.shape)


def _int4(name: str, rows: Floats) -> Floats:
    # The engine keeps the output layer, the most sensitive one, in int8.
    return int8_rows(rows) if name == "lm_head.weight" else int4_rows(rows)


ROUNDINGS: Final[Mapping[str, Rounding]] = {"int8": lambda _name, rows: int8_rows(rows), "int4": _int4}
"""By the variant's dtype."""
