"""What one tensor's values are like: mean, spread, range, sparsity, histogram; two passes, constant memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from inference.tensor_values import StoredTensor, pieces

BINS: Final = 60

Report = Callable[[int, int], None]
"""Called with the values read and the values to read, of both passes together."""


@dataclass(frozen=True, slots=True)
class TensorStatistics:
    """Of the finite values, but for `values` and the counts of those that are none.

    deviation: the standard deviation of all values, which are no sample. norm: the Euclidean one.
    edges, counts: the histogram's BINS + 1 borders and BINS numbers; a single value has one bin.
    """

    values: int
    zeros: int
    not_numbers: int
    infinite: int
    mean: float | None
    deviation: float | None
    smallest: float | None
    largest: float | None
    norm: float | None
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """A form for JSON."""
        return asdict(self)


def tensor_statistics(tensor: StoredTensor, report: Report) -> TensorStatistics:
    """Read the tensor twice. Raises UnreadableValues, or OSError."""
    seen, zeros, not_numbers, infinite, count = 0, 0, 0, 0, 0
    mean, squares, low, high = 0.0, 0.0, math.inf, -math.inf
    for piece in pieces(tensor):
        seen += piece.size
        not_numbers += int(np.isnan(piece).sum())
        infinite += int(np.isinf(piece).sum())
        finite = piece[np.isfinite(piece)].astype(np.float64)
        zeros += int((finite == 0).sum())
        if finite.size:
            # Chan, Golub, LeVeque 1979: joins two means and sums of squares without losing digits.
            piece_mean = float(finite.mean())
            shift, total = piece_mean - mean, count + finite.size
            squares += float(((finite - piece_mean) ** 2).sum()) + shift**2 * count * finite.size / total
            mean += shift * finite.size / total
            count = total
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        report(seen, 2 * tensor.values)
    if not count:
        return TensorStatistics(seen, 0, not_numbers, infinite, None, None, None, None, None, (), ())
    edges, counts = _histogram(tensor, low, high, lambda done: report(seen + done, 2 * tensor.values))
    return TensorStatistics(
        values=seen,
        zeros=zeros,
        not_numbers=not_numbers,
        infinite=infinite,
        mean=mean,
        deviation=math.sqrt(squares / count),
        smallest=low,
        largest=high,
        norm=math.sqrt(squares + count * mean**2),
        edges=edges,
        counts=counts,
    )


def _histogram(
    tensor: StoredTensor, low: float, high: float, report: Callable[[int], None]
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    bins = BINS if high > low and np.isfinite(high - low) else 1
    edges = np.linspace(low, high, bins + 1) if high > low else np.array([low, high])
    counts = np.zeros(bins, np.int64)
    done = 0
    for piece in pieces(tensor):
        finite = piece[np.isfinite(piece)].astype(np.float64)
        counts += np.histogram(finite, edges)[0] if high > low else finite.size
        done += piece.size
        report(done)
    return tuple(edges.tolist()), tuple(counts.tolist())
