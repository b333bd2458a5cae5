"""What rotary positions turn queries and keys by."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

FIRST_POSITIONS: Final = 1_024


class RotationTable:
    """Cosines and sines of positions, as the model's own module computes them, once for all steps."""

    def __init__(self, rotary: Any, example: Tensor) -> None:
        self._rotary = rotary
        # Of its own memory: a view would keep the whole mapped file.
        self._example = example[:1, None].clone()
        self._cosines = self._sines = example.new_empty((0, 0))

    def at(self, positions: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """`(tokens, 1, size)` each; the first half's sines are negated, so that rotating by halves is a plain roll."""
        if longest > len(self._cosines):
            self._grow(longest)
        return self._cosines[positions], self._sines[positions]

    def _grow(self, longest: int) -> None:
        length = max(longest, 2 * len(self._cosines), FIRST_POSITIONS)
        cosines, sines = self._rotary(self._example, torch.arange(length)[None])
        first, second = sines[0, :, None].chunk(2, dim=-1)
        self._cosines, self._sines = cosines[0, :, None].contiguous(), torch.cat((-first, second), dim=-1)
