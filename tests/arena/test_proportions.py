"""Wilson's interval of a share, before another implementation."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from portal.arena.proportions import wilson_interval


@example(hits=0, trials=17)
@example(hits=17, trials=17)
@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_of_a_share_is_that_of_statsmodels(hits: int, trials: int) -> None:
    hits = min(hits, trials)
    low, high = wilson_interval(hits, trials)
    assert (low, high) == pytest.approx(proportion_confint(hits, trials, method="wilson"), abs=1e-9)
    # To the last digit at the ends, where nothing lies beyond.
    assert (low == 0, high == 1) == (hits == 0, hits == trials)


def test_nothing_is_known_of_a_share_without_trials() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
