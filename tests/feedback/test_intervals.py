"""Shares' and means' intervals against statsmodels, scipy and numpy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from portal.feedback.intervals import bootstrap_mean, median_of, wilson_interval


@settings(max_examples=100)
@given(data=st.data(), n=st.integers(1, 5_000))
def test_wilson_agrees_with_statsmodels(data: st.DataObject, n: int) -> None:
    successes = data.draw(st.integers(0, n))
    found = wilson_interval(successes, n)
    assert (found.low, found.high) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-9)
    assert 0 <= found.low <= successes / n <= found.high <= 1


def test_of_nobody_everything_is_possible() -> None:
    assert (wilson_interval(0, 0).low, wilson_interval(0, 0).high) == (0, 1)
    assert bootstrap_mean({}) is None
    assert median_of({}) is None


def test_the_bootstrap_agrees_with_scipys() -> None:
    values = np.random.default_rng(3).integers(1, 6, size=200)
    found = bootstrap_mean(Counter(values.tolist()))
    other = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9_999, rng=1).confidence_interval
    assert found is not None
    assert found.interval is not None
    assert found.value == pytest.approx(values.mean())
    assert (found.interval.low, found.interval.high) == pytest.approx((other.low, other.high), abs=0.03)


def test_one_value_has_a_mean_and_no_interval() -> None:
    found = bootstrap_mean({4: 1})
    assert found is not None
    assert (found.value, found.n, found.interval) == (4, 1, None)


@settings(max_examples=60)
@given(values=st.lists(st.integers(-50, 50), min_size=1, max_size=60))
def test_the_median_agrees_with_numpys(values: list[int]) -> None:
    assert median_of(Counter(values)) == np.median(values)
