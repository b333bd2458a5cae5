"""How far reviewers agree: Krippendorff's alpha with a bootstrap interval, and confusion; pure functions on numpy.

Krippendorff, K. (2011), Computing Krippendorff's Alpha-Reliability. The interval resamples units, the things that
were judged, since reviewers' values on one unit are not independent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES: Final = 1_000
CONFIDENCE: Final = 0.95
# An interval out of fewer units says more about chance than about the reviewers.
FEWEST_UNITS_FOR_INTERVAL: Final = 5


class Metric(StrEnum):
    """How far apart two values are: just different, by rank, or by their difference."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Alpha over `units` that at least two people judged, by `values` values in all.

    `alpha` is None where it is not defined: nothing was judged twice, or everybody always said the same one thing.
    """

    alpha: float | None
    low: float | None
    high: float | None
    units: int
    values: int

    @property
    def has_interval(self) -> bool:
        return self.low is not None and self.high is not None


def krippendorff_alpha(
    units: Iterable[Sequence[Any]], metric: Metric = Metric.NOMINAL, *, resamples: int = RESAMPLES, seed: int = 0
) -> Agreement:
    """Alpha of the values that each unit was given, in any order; units with fewer than two values are left out.

    Values are hashable, and numbers for the ordinal and the interval metric. `resamples` 0 computes no interval.
    Raises ValueError when a value has no place on the metric's scale.
    """
    judged = [tuple(unit) for unit in units if len(unit) >= 2]
    count = sum(len(unit) for unit in judged)
    if not judged:
        return Agreement(None, None, None, 0, 0)
    scale = _scale(judged, metric)
    place = {value: index for index, value in enumerate(scale)}
    patterns = Counter(tuple(sorted(place[value] for value in unit)) for unit in judged)
    # Units with the same values weigh together: a thousand resamples cost one multiplication of matrices.
    coincidences = np.array([_coincidences(pattern, len(scale)).ravel() for pattern in sorted(patterns)])
    times = np.array([patterns[pattern] for pattern in sorted(patterns)], dtype=np.float64)
    numbers = np.array(scale, dtype=np.float64) if metric == Metric.INTERVAL else np.arange(len(scale), dtype=float)
    distance = _DISTANCES[metric]
    alpha = _alpha((times @ coincidences).reshape(len(scale), -1), numbers, distance)
    low = high = None
    if alpha is not None and resamples and len(judged) >= FEWEST_UNITS_FOR_INTERVAL:
        drawn = np.random.default_rng(seed).multinomial(len(judged), times / times.sum(), size=resamples)
        matrices = (drawn.astype(np.float64) @ coincidences).reshape(resamples, len(scale), len(scale))
        # A resample in which everybody says the same thing agrees perfectly.
        estimates = [1.0 if (each := _alpha(matrix, numbers, distance)) is None else each for matrix in matrices]
        tail = (1 - CONFIDENCE) / 2
        low, high = (float(edge) for edge in np.quantile(estimates, [tail, 1 - tail]))
    return Agreement(alpha, low, high, len(judged), count)


def confusion(pairs: Iterable[tuple[Hashable, Hashable]]) -> dict[tuple[Hashable, Hashable], int]:
    """How often the first said one thing and the second another: (first's value, second's value) → times."""
    return dict(Counter(pairs))


def _scale(judged: Sequence[tuple[Any, ...]], metric: Metric) -> list[Any]:
    values = {value for unit in judged for value in unit}
    if metric == Metric.NOMINAL:
        return sorted(values, key=repr)
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise ValueError(f"units: the {metric} metric needs numbers")
    return sorted(values)


def _coincidences(pattern: tuple[int, ...], size: int) -> Floats:
    """One unit's part of the matrix: each ordered pair of its values, together as heavy as its values."""
    counts = np.bincount(pattern, minlength=size).astype(np.float64)
    return (np.outer(counts, counts) - np.diag(counts)) / (len(pattern) - 1)


def _alpha(matrix: Floats, numbers: Floats, distance: Callable[[Floats, Floats], Floats]) -> float | None:
    totals = matrix.sum(axis=1)
    count = float(totals.sum())
    apart = distance(numbers, totals)
    expected = float((np.outer(totals, totals) * apart).sum()) / (count - 1)
    if expected <= 0:
        return None
    observed: float = float((matrix * apart).sum())
    return 1.0 - observed / expected


def _nominal(numbers: Floats, totals: Floats) -> Floats:
    return 1 - np.eye(len(numbers))


def _ordinal(numbers: Floats, totals: Floats) -> Floats:
    """The square of how many values lie between two ranks, half of each rank's own."""
    middle = np.cumsum(totals) - totals / 2
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)


def _interval(numbers: Floats, totals: Floats) -> Floats:
    return np.asarray((numbers[:, None] - numbers[None, :]) ** 2)


_DISTANCES: Final[dict[Metric, Callable[[Floats, Floats], Floats]]] = {
    Metric.NOMINAL: _nominal,
    Metric.ORDINAL: _ordinal,
    Metric.INTERVAL: _interval,
}
