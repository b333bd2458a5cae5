"""Shares and means with their 95 % intervals: Wilson's for shares, Student's for means of ratings. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from portal.arena.proportions import wilson_interval

CONFIDENCE: Final = 0.95
# From here on Student's distribution is the normal one to three digits.
NORMAL_FROM: Final = 2_000


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`; without any n the interval is everything."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.hits, self.n)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `n` ratings; `low` and `high` are None where two different ratings are not there to tell."""

    value: float
    n: int
    low: float | None
    high: float | None


def mean_rating(counts: Mapping[int, int], smallest: int, largest: int) -> Mean | None:
    """The mean of ratings given as how often each was given; None of none. The interval stays on the scale."""
    n = sum(counts.values())
    if not n:
        return None
    mean = sum(rating * count for rating, count in counts.items()) / n
    spread = sum(count * (rating - mean) ** 2 for rating, count in counts.items())
    if n < 2 or not spread:
        # Ratings that are all the same do not tell how far the next one may be.
        return Mean(mean, n, None, None)
    half = student_quantile(n - 1) * math.sqrt(spread / (n - 1) / n)
    return Mean(mean, n, max(float(smallest), mean - half), min(float(largest), mean + half))


def student_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """How many standard errors lie on each side of a mean, for so many degrees of freedom."""
    if degrees >= NORMAL_FROM:
        return NormalDist().inv_cdf((1 + confidence) / 2)
    low, high = 0.0, 1_000.0
    for _step in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


def _within(t: float, degrees: int) -> float:
    """P(|T| < t) for whole degrees of freedom: Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(angle)
    if degrees % 2:
        term = total = cosine if degrees > 1 else 0.0
        for k in range(3, degrees - 1, 2):
            term *= cosine * cosine * (k - 1) / k
            total += term
        return 2 / math.pi * (angle + math.sin(angle) * total)
    term = total = 1.0
    for k in range(2, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return math.sin(angle) * total
