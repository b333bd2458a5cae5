"""Intervals for shares and means; pure, checked against other implementations in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from portal.arena import proportions

RESAMPLES: Final = 4_000
# The same data give the same interval at every look.
SEED: Final = 20_261


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of `n` values, with its interval; of fewer than two values there is none."""

    value: float
    n: int
    interval: Interval | None


def wilson_interval(successes: int, n: int) -> Interval:
    """The Wilson score interval (95 %) of a share; everything is possible for n = 0."""
    return Interval(*proportions.wilson_interval(successes, n))


def bootstrap_mean(counts: Mapping[float, int]) -> Mean | None:
    """Mean and percentile bootstrap interval (95 %) of values given by how often each occurs; None without any.

    Resampling n values with replacement is drawing from a multinomial of the counts, however many values there are.
    """
    n = sum(counts.values())
    if n == 0:
        return None
    values = np.array(list(counts), dtype=float)
    weights = np.array(list(counts.values()), dtype=float)
    mean = float(values @ weights / n)
    if n < 2:
        return Mean(mean, n, None)
    draws = np.random.default_rng(SEED).multinomial(n, weights / n, size=RESAMPLES)
    low, high = np.percentile(draws @ values / n, [2.5, 97.5])
    return Mean(mean, n, Interval(float(low), float(high)))


def median_of(counts: Mapping[float, int]) -> float | None:
    """The middle value, or the mean of the two in the middle."""
    n = sum(counts.values())
    if n == 0:
        return None
    middle = ((n - 1) // 2, n // 2)
    found: list[float] = []
    passed = 0
    for value in sorted(counts):
        passed += counts[value]
        while len(found) < 2 and middle[len(found)] < passed:
            found.append(value)
        if len(found) == 2:
            break
    return (found[0] + found[1]) / 2
