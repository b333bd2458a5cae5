"""Style control before statsmodels' regression, and before votes that length alone decides."""

from __future__ import annotations

import numpy as np
import pytest

from portal.arena.bradley_terry import PairCounts, rank_models
from portal.arena.style_control import rank_with_style, style_differences
from tests.arena.test_bradley_terry import simulate


def test_style_control_is_the_regression_that_statsmodels_makes() -> None:
    import statsmodels.api as sm

    left, right, score = simulate(np.array([0.6, 0.0, -0.6]), 3000, seed=5, tie_share=0.2)
    style = np.random.default_rng(6).uniform(-1, 1, (3000, 2))
    ours = rank_with_style(3, left, right, score, style, prior=1e-9)
    design = np.zeros((3000, 5))
    design[np.arange(3000), left] += 1
    design[np.arange(3000), right] -= 1
    design[:, 3:] = style / style.std(axis=0)
    # The level is free: drop the last model.
    theirs = sm.GLM(score, np.delete(design, 2, axis=1), family=sm.families.Binomial()).fit(cov_type="HC0", tol=1e-12)
    assert ours.effects == pytest.approx(theirs.params[2:], abs=1e-5)
    assert ours.effect_errors == pytest.approx(theirs.bse[2:], rel=1e-3)
    theta = ours.strengths.theta
    assert theta[:2] - theta[2] == pytest.approx(theirs.params[:2], abs=1e-5)


def test_features_that_say_the_same_count_once() -> None:
    random = np.random.default_rng(8)
    left = random.integers(0, 3, 400)
    right = (left + random.integers(1, 3, 400)) % 3
    score = random.integers(0, 2, 400).astype(float)
    # As where the longer answer has more of everything: 0.5 and -0.5 alone, four times.
    once = random.choice([-0.5, 0.5], (400, 1))
    single = rank_with_style(3, left, right, score, once)
    repeated = rank_with_style(3, left, right, score, np.repeat(once, 4, axis=1) * [1.0, 0.4, 0.9, 2.0])
    assert repeated.strengths.lower == pytest.approx(single.strengths.lower, abs=1e-4)
    assert repeated.strengths.upper == pytest.approx(single.strengths.upper, abs=1e-4)
    assert repeated.effects.sum() == pytest.approx(single.effects[0], abs=1e-4)
    assert np.isfinite(repeated.effect_errors).all()


def test_style_control_takes_out_what_length_alone_earned() -> None:
    """Two equal models, of which one writes longer, before voters who like length."""
    random = np.random.default_rng(7)
    votes = 20_000
    left = random.integers(0, 2, votes)
    lengths = np.exp(random.normal(0, 0.4, (votes, 2)))
    lengths[:, 0] *= 1.6
    style = style_differences(lengths[np.arange(votes), left, None], lengths[np.arange(votes), 1 - left, None])
    score = (random.random(votes) < 1 / (1 + np.exp(-2 * style[:, 0]))).astype(float)
    plain = rank_models(PairCounts.of_battles(2, left, 1 - left, score), rounds=50, seed=1)
    assert plain.lower[0] > plain.upper[1]
    styled = rank_with_style(2, left, 1 - left, score, style)
    assert styled.strengths.lower[0] < 0 < styled.strengths.upper[0]
    assert styled.effects[0] == pytest.approx(2 * style.std(), abs=0.1)
