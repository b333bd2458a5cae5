"""The engine's weight-only roundings in numpy, so that what they change can be measured without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.tensor_values import Floats
from inference.weight_comparison import Rounding

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


ROUNDINGS: Final[Mapping[str, Rounding]] = {"int8": int8_rows}
"""By the variant's dtype."""
