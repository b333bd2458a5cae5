"""Means and shares with their intervals, checked against scipy and statsmodels."""

from __future__ import annotations

from collections import Counter

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from portal.evidence.intervals import NORMAL_FROM, Share, mean_rating, student_quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 10, 29, 30, 101, 500, NORMAL_FROM - 1])
def test_quantiles_are_students(degrees: int) -> None:
    assert student_quantile(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), abs=1e-8)


def test_with_many_degrees_it_is_the_normal_one() -> None:
    assert student_quantile(NORMAL_FROM) == pytest.approx(scipy.stats.t.ppf(0.975, NORMAL_FROM), abs=2e-3)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=60).filter(lambda given: len(set(given)) > 1))
@settings(max_examples=60, deadline=None)
def test_a_mean_has_students_interval_on_its_scale(ratings: list[int]) -> None:
    mean = mean_rating(Counter(ratings), 1, 5)
    assert mean is not None
    assert mean.low is not None
    assert mean.high is not None
    spread = scipy.stats.sem(ratings)
    low, high = scipy.stats.t.interval(0.95, len(ratings) - 1, loc=sum(ratings) / len(ratings), scale=spread)
    assert (mean.low, mean.high) == pytest.approx((max(1, low), min(5, high)))
    assert 1 <= mean.low <= mean.value <= mean.high <= 5


@pytest.mark.parametrize("counts", [{3: 1}, {5: 40}])
def test_ratings_that_are_all_the_same_have_no_interval(counts: dict[int, int]) -> None:
    mean = mean_rating(counts, 1, 5)
    assert mean is not None
    assert (mean.low, mean.high) == (None, None)
    assert mean_rating({}, 1, 5) is None


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 7), (80, 80), (450, 1000)])
def test_a_share_has_wilsons_interval(hits: int, n: int) -> None:
    assert Share(hits, n).interval == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-9)
    assert Share(0, 0).value is None
