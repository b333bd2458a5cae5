"""Strengths, intervals and ranks: against choix, scipy and statsmodels, and on simulated votes whose truth is known."""

from __future__ import annotations

import time

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from portal.arena.bradley_terry import (
    PairCounts,
    centred,
    components,
    fit_strengths,
    is_bounded,
    rank_models,
    strength_errors,
    to_elo,
)

FEW = settings(max_examples=25, deadline=None)


def simulate(theta: np.ndarray, battles: int, seed: int, tie_share: float = 0.0) -> tuple[np.ndarray, ...]:
    """Left, right and the left's score of votes that follow `theta`."""
    random = np.random.default_rng(seed)
    left = random.integers(0, len(theta), battles)
    right = (left + random.integers(1, len(theta), battles)) % len(theta)
    wins = random.random(battles) < 1 / (1 + np.exp(theta[right] - theta[left]))
    score = np.where(random.random(battles) < tie_share, 0.5, wins.astype(float))
    return left, right, score


def counts_of(theta: np.ndarray, battles: int, seed: int, tie_share: float = 0.0) -> PairCounts:
    return PairCounts.of_battles(len(theta), *simulate(theta, battles, seed, tie_share))


counts_strategy = st.integers(2, 6).flatmap(
    lambda models: st.tuples(
        arrays(np.int64, (models, models), elements=st.integers(0, 30)),
        arrays(np.int64, (models, models), elements=st.integers(0, 10)),
    ).map(
        lambda pair: PairCounts(
            pair[0] * ~np.eye(models, dtype=bool), (pair[1] + pair[1].T) * ~np.eye(models, dtype=bool)
        )
    )
)


def test_without_ties_and_prior_it_is_what_choix_finds() -> None:
    counts = counts_of(np.array([0.8, 0.1, 0.0, -0.3, -0.9]), 4000, seed=1)
    data = [(i, j) for i in range(5) for j in range(5) for _ in range(counts.wins[i, j])]
    ours = fit_strengths(counts.scores, prior=0)
    assert ours == pytest.approx(choix.opt_pairwise(5, data), abs=1e-4)
    assert ours == pytest.approx(choix.mm_pairwise(5, data), abs=1e-4)


def test_with_ties_and_prior_it_is_the_maximum_that_scipy_finds() -> None:
    counts = counts_of(np.array([1.0, 0.0, -0.5]), 300, seed=2, tie_share=0.3)

    def loss(theta: np.ndarray) -> float:
        difference = theta[:, None] - theta[None, :]
        alone = 0.5 * (np.logaddexp(0, theta) + np.logaddexp(0, -theta)).sum()
        return float((counts.scores * np.logaddexp(0, -difference)).sum() + alone)

    assert fit_strengths(counts.scores) == pytest.approx(minimize(loss, np.zeros(3), tol=1e-10).x, abs=1e-4)


def test_known_strengths_are_recovered() -> None:
    truth = np.array([1.2, 0.6, 0.2, 0.0, -0.4, -0.7, -0.9])
    ours = rank_models(counts_of(truth, 60_000, seed=3), rounds=50, seed=1)
    assert ours.theta == pytest.approx(truth - truth.mean(), abs=0.06)
    assert list(np.argsort(-ours.theta)) == list(range(7))


def test_the_intervals_cover_the_truth_as_often_as_they_say() -> None:
    truth = np.array([0.7, 0.3, 0.0, -0.2, -0.8])
    shown = truth - truth.mean()
    covered = 0
    trials = 400
    for trial in range(trials):
        ours = rank_models(counts_of(truth, 800, seed=100 + trial, tie_share=0.2 * (trial % 2)), rounds=200, seed=trial)
        # Votes that are ties at random pull all strengths together; what they estimate follows from the same equations.
        target = shown if trial % 2 == 0 else _with_ties(truth)
        covered += int(((ours.lower <= target) & (target <= ours.upper)).sum())
    # 2000 intervals; those of one trial depend on each other, hence the room.
    assert 0.93 < covered / (trials * 5) < 0.97


def _with_ties(truth: np.ndarray) -> np.ndarray:
    chance = 1 / (1 + np.exp(truth[None, :] - truth[:, None]))
    expected = (0.8 * chance + 0.2 * 0.5) * ~np.eye(len(truth), dtype=bool)
    return fit_strengths(expected * 1e6, prior=0)


@FEW
@given(counts_strategy, st.randoms(use_true_random=False))
def test_names_do_not_matter(counts: PairCounts, random: object) -> None:
    order = np.array(random.sample(range(counts.models), counts.models))  # type: ignore[attr-defined]
    again = PairCounts(counts.wins[np.ix_(order, order)], counts.ties[np.ix_(order, order)])
    assert fit_strengths(again.scores) == pytest.approx(fit_strengths(counts.scores)[order], abs=1e-6)


@FEW
@given(counts_strategy)
def test_turning_every_vote_round_turns_the_strengths_round(counts: PairCounts) -> None:
    turned = PairCounts(counts.wins.T, counts.ties)
    assert fit_strengths(turned.scores) == pytest.approx(-fit_strengths(counts.scores), abs=1e-6)


@FEW
@given(counts_strategy)
def test_votes_that_balance_make_all_equal(counts: PairCounts) -> None:
    balanced = PairCounts(counts.wins + counts.wins.T, counts.ties)
    assert fit_strengths(balanced.scores) == pytest.approx(np.zeros(counts.models), abs=1e-6)


@FEW
@given(counts_strategy)
def test_each_model_takes_what_its_strength_expects(counts: PairCounts) -> None:
    """The likelihood equations, which a maximum and nothing else fulfils."""
    theta = fit_strengths(counts.scores)
    chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    expected = (counts.games * chance).sum(axis=1) + 1 / (1 + np.exp(-theta))
    assert counts.scores.sum(axis=1) + 0.5 == pytest.approx(expected, rel=1e-5, abs=1e-5)


@FEW
@given(counts_strategy)
def test_ranks_begin_at_one_and_never_contradict_the_strengths(counts: PairCounts) -> None:
    ours = rank_models(counts, rounds=30, seed=0)
    for part in np.unique(ours.part):
        ranks, theta = ours.ranks[ours.part == part], ours.theta[ours.part == part]
        assert ranks.min() == 1
        assert len(theta) < 2 or ranks[np.argmax(theta)] <= ranks[np.argmin(theta)]
    assert np.isfinite(ours.theta).all()


def test_a_model_that_always_won_has_a_finite_strength_and_is_said_to_have_none_without_the_prior() -> None:
    wins = np.array([[0, 9, 9], [0, 0, 5], [0, 4, 0]])
    counts = PairCounts(wins, np.zeros_like(wins))
    assert not is_bounded(counts)
    ours = rank_models(counts, rounds=200, seed=1)
    assert np.isfinite([*ours.theta, *ours.lower, *ours.upper]).all()
    assert list(ours.ranks) == [1, 2, 2]
    assert is_bounded(PairCounts(wins, np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])))


def test_one_vote_has_a_wide_interval_and_takes_no_rank_away() -> None:
    wins = np.array([[0, 1], [0, 0]])
    ours = rank_models(PairCounts(wins, np.zeros_like(wins)), rounds=100, seed=1)
    assert (ours.lower < 0).all()
    assert (ours.upper > 0).all()
    assert list(ours.ranks) == [1, 1]


def test_the_curvature_of_two_models_gives_the_error_of_a_logit() -> None:
    """The centred strength is half the log odds of 15 in 20, whose textbook error is 1 / √(n p q)."""
    half = np.log(3) / 2
    errors = strength_errors(np.array([[0, 20], [20, 0]]), np.array([half, -half]), np.array([0, 0]), prior=0)
    assert errors == pytest.approx([0.5 / np.sqrt(20 * 0.75 * 0.25)] * 2)


def test_models_that_no_vote_joins_are_ranked_apart() -> None:
    wins = np.zeros((4, 4), dtype=np.int64)
    wins[0, 1], wins[1, 0] = 30, 10
    wins[2, 3], wins[3, 2] = 5, 25
    counts = PairCounts(wins, np.zeros_like(wins))
    assert list(components(counts.games)) == [0, 0, 1, 1]
    ours = rank_models(counts, rounds=100, seed=1)
    assert list(ours.ranks) == [1, 2, 2, 1]
    assert centred(ours.theta, ours.part) == pytest.approx(ours.theta)
    assert ours.theta[0] + ours.theta[1] == pytest.approx(0)


def test_a_bootstrap_gives_the_same_interval_for_the_same_seed_only() -> None:
    counts = counts_of(np.array([0.5, 0.0, -0.5]), 500, seed=1)
    first, again, other = (rank_models(counts, rounds=100, seed=seed) for seed in (1, 1, 2))
    assert (first.lower == again.lower).all()
    assert (first.lower != other.lower).any()


def test_a_thousand_rounds_on_a_hundred_thousand_votes_take_seconds() -> None:
    truth = np.linspace(1, -1, 20)
    started = time.process_time()
    ours = rank_models(counts_of(truth, 100_000, seed=1, tie_share=0.2), rounds=1000, seed=1)
    assert time.process_time() - started < 20
    assert (ours.upper - ours.lower).max() < 0.2


def test_no_votes_are_no_ranking() -> None:
    ours = rank_models(PairCounts(np.zeros((3, 3), dtype=np.int64), np.zeros((3, 3), dtype=np.int64)), rounds=9, seed=1)
    assert list(ours.theta) == [0, 0, 0]
    assert list(ours.part) == [0, 1, 2]


def test_the_scale_is_that_of_chess() -> None:
    assert to_elo(np.array([0.0, np.log(10)])) == pytest.approx([1000, 1400])
