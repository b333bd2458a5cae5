"""What differs between two sets of weights, per tensor and layer: the size of the difference beside the first's own.

Sizes are Euclidean norms; a relative difference of 0.01 means that the second is as far from the first as a hundredth
of the first's length. Tensors are read in pieces, so memory does not grow with them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.adapter_facts import short_base_name
from inference.adapter_folder import read_adapter_folder
from inference.tensor_values import Floats, StoredTensor, pieces, stored_tensors_of

Rounding = Callable[[str, Floats], Floats]
"""Rows of the matrix of a name as the engine computes with them."""

_LAYER: Final = re.compile(r"(?:^|\.)(?:layers?|h|blk|blocks?)\.(\d{1,6})\.")


@dataclass(frozen=True, slots=True)
class LowRank:
    """What an adapter adds to a matrix: `up` times `down`."""

    down: NDArray[np.float64]
    up: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """One side of a comparison. `rounding` is what the engine does to matrices of layers when it loads them."""

    tensors: Mapping[str, StoredTensor]
    rounding: Rounding | None = None
    added: Mapping[str, LowRank] = field(default_factory=dict)

    def rows_of(self, name: str) -> Iterator[Floats]:
        """The tensor as it is computed with, whole rows at a time."""
        tensor, added, first = self.tensors[name], self.added.get(name), 0
        rounding = self.rounding if is_rounded(tensor) else None
        for rows in pieces(tensor, whole_rows=True):
            computed = rounding(name, rows) if rounding is not None else rows
            if added is not None:
                computed = computed + added.up[first : first + len(rows)] @ added.down
            first += len(rows)
            yield computed

    def is_as_stored(self, name: str) -> bool:
        """Whether the engine computes with what the file holds."""
        return name not in self.added and (self.rounding is None or not is_rounded(self.tensors[name]))


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one tensor, or a layer's together. `relative` is None where the first is all zeros and the second is not."""

    name: str
    values: int
    first_norm: float
    difference_norm: float
    largest: float
    relative: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`layers` are named by their number; what belongs to none is under an empty name."""

    overall: Difference
    layers: tuple[Difference, ...]
    tensors: tuple[Difference, ...]
    only_in_first: tuple[str, ...]
    only_in_second: tuple[str, ...]
    reshaped: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """A form for JSON."""
        return asdict(self)


def is_rounded(tensor: StoredTensor) -> bool:
    """Whether weight-only rounding takes this tensor: the layers' matrices and an output layer of its own."""
    return len(tensor.shape) == 2 and (_LAYER.search(tensor.name) is not None or tensor.name == "lm_head.weight")


def with_adapter(base: Weights, folder: Path) -> Weights:
    """The base with an adapter's product added. Raises WeightsRefused, UnreadableValues, or OSError."""
    adapter = read_adapter_folder(folder, base_name=short_base_name(folder))
    stored = stored_tensors_of(folder)
    added = {}
    for module, factors in adapter.modules.items():
        down, up = (_whole(stored[factor.name]) for factor in (factors.down, factors.up))
        added[f"{module}.weight"] = LowRank(down, up * factors.scaling)
    return Weights(base.tensors, base.rounding, added)


def compare_weights(first: Weights, second: Weights, report: Callable[[int, int], None]) -> Comparison:
    """Read both. Raises UnreadableValues, or OSError. `report` gets values compared and values to compare."""
    shared = [name for name in first.tensors if name in second.tensors]
    same_shape = [name for name in shared if first.tensors[name].shape == second.tensors[name].shape]
    total = sum(first.tensors[name].values for name in same_shape)
    done = 0
    sums: dict[str, list[_Sum]] = {}
    tensors = []
    for name in sorted(same_shape, key=_in_order):
        tensor_sum = _Sum()
        for a, b in _aligned(first, second, name):
            tensor_sum.add(a, b)
            done += a.size
            report(done, total)
        tensors.append(tensor_sum.as_difference(name))
        layer = _LAYER.search(name)
        sums.setdefault(layer[1] if layer else "", []).append(tensor_sum)
    layers = [_Sum.of(sums[layer]).as_difference(layer) for layer in sorted(sums, key=lambda text: int(text or -1))]
    return Comparison(
        overall=_Sum.of([each for some in sums.values() for each in some]).as_difference(""),
        layers=tuple(layers),
        tensors=tuple(tensors),
        only_in_first=tuple(sorted(first.tensors.keys() - second.tensors.keys(), key=_in_order)),
        only_in_second=tuple(sorted(second.tensors.keys() - first.tensors.keys(), key=_in_order)),
        reshaped=tuple(name for name in shared if name not in set(same_shape)),
    )


def _aligned(first: Weights, second: Weights, name: str) -> Iterator[tuple[Floats, Floats]]:
    if first.tensors[name] == second.tensors[name] and first.is_as_stored(name) and second.is_as_stored(name):
        yield from ((rows, rows) for rows in first.rows_of(name))  # the same bytes are read once
    else:
        yield from zip(first.rows_of(name), second.rows_of(name), strict=True)


def _whole(tensor: StoredTensor) -> NDArray[np.float64]:
    return np.concatenate(list(pieces(tensor, whole_rows=True))).astype(np.float64)


def _in_order(name: str) -> list[tuple[int, str]]:
    """Layer 10 comes after layer 9."""
    return [(int(part), "") if part.isdigit() and len(part) < 10 else (-1, part) for part in name.split(".")]


@dataclass(slots=True)
class _Sum:
    values: int = 0
    first: float = 0.0
    difference: float = 0.0
    largest: float = 0.0

    def add(self, a: Floats, b: Floats) -> None:
        wide, change = a.astype(np.float64), 0.0
        self.values += a.size
        self.first += float(np.square(wide).sum())
        if a is not b:
            apart = b.astype(np.float64) - wide
            change = float(np.square(apart).sum())
            self.largest = max(self.largest, float(np.abs(apart).max(initial=0.0)))
        self.difference += change

    @classmethod
    def of(cls, parts: list[_Sum]) -> _Sum:
        return cls(
            values=sum(part.values for part in parts),
            first=sum(part.first for part in parts),
            difference=sum(part.difference for part in parts),
            largest=max((part.largest for part in parts), default=0.0),
        )

    def as_difference(self, name: str) -> Difference:
        first, apart = math.sqrt(self.first), math.sqrt(self.difference)
        relative = apart / first if first else (0.0 if not apart else None)
        return Difference(name, self.values, first, apart, self.largest, relative)
