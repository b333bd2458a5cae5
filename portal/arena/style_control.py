"""Strengths with the answers' form held equal, and what form is worth. Pure numpy; docs/methodology.md explains it.

The votes are regressed on who answered and on how the two answers differ in length and marks, as in LMArena 2024, "Does
style matter?". Without style it is the plain ranking of `bradley_terry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from portal.arena.bradley_terry import (
    LONGEST_STEP,
    MAX_STEPS,
    PRIOR_TIES,
    TOLERANCE,
    Floats,
    Integers,
    Strengths,
    components,
    logistic,
)
from portal.arena.proportions import NORMAL_QUANTILE


@dataclass(frozen=True, slots=True)
class StyledStrengths:
    """Strengths with the answers' form held equal, and what each feature of form is worth.

    `effects` are log odds per standard deviation of a feature's difference, with standard errors `effect_errors`.
    """

    strengths: Strengths
    effects: Floats
    effect_errors: Floats
    deviations: Floats


def style_differences(left: Floats, right: Floats) -> Floats:
    """(left - right) / (left + right) per feature, 0 where neither has any: between -1 and 1, whatever the unit."""
    both = left + right
    return np.divide(left - right, both, out=np.zeros_like(both, dtype=np.float64), where=both > 0)


def rank_with_style(
    models: int, left: Integers, right: Integers, score: Floats, style: Floats, *, prior: float = PRIOR_TIES
) -> StyledStrengths:
    """Logistic regression of the votes on who answered and on `style` (votes, features), differences left to right.

    Features are divided by their standard deviation. Intervals are normal, from the sandwich estimate of the variance,
    which holds also where the votes scatter more than the model says.
    """
    deviations = style.std(axis=0)
    scaled = np.divide(style, deviations, out=np.zeros_like(style), where=deviations > 0)
    votes, features = scaled.shape
    design = np.zeros((votes, models + features))
    design[np.arange(votes), left] += 1
    design[np.arange(votes), right] -= 1
    design[:, models:] = scaled
    # One virtual tie with an average model each, as in the plain ranking; a trace of it on features that never differ.
    ridge = np.concatenate([np.full(models, prior), np.full(features, 1e-6)])
    beta = _fit_logistic(design, score, ridge)
    residual = score - logistic(design @ beta)
    bread = np.linalg.inv(_information(design, beta, ridge))
    # Its square is the sandwich's middle. Features that say the same make the bread large where this is 0: with the
    # square itself, rounding would leave variances below 0.
    root = cast("Floats", np.linalg.qr(design * residual[:, None], mode="r"))
    games = np.zeros((models, models), dtype=np.int64)
    np.add.at(games, (left, right), 1)
    part = components(games + games.T)
    centring = np.eye(models + features)
    for number in np.unique(part):
        members = np.flatnonzero(part == number)
        centring[np.ix_(members, members)] -= 1 / len(members)
    errors = np.linalg.norm(centring @ bread @ root.T, axis=1)
    theta = (centring @ beta)[:models]
    spread = NORMAL_QUANTILE * errors[:models]
    strengths = Strengths(theta, theta - spread, theta + spread, part)
    return StyledStrengths(strengths, beta[models:], errors[models:], deviations)


def _information(design: Floats, beta: Floats, ridge: Floats) -> Floats:
    chance = logistic(design @ beta)
    own = logistic(beta)
    information: Floats = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(ridge * own * (1 - own))
    return information


def _fit_logistic(design: Floats, score: Floats, ridge: Floats) -> Floats:
    def value(at: Floats) -> float:
        linear = design @ at
        said = score * -np.logaddexp(0, -linear) + (1 - score) * -np.logaddexp(0, linear)
        return float(said.sum() - 0.5 * (ridge * (np.logaddexp(0, at) + np.logaddexp(0, -at))).sum())

    beta = np.zeros(design.shape[1])
    reached = value(beta)
    for _step in range(MAX_STEPS):
        gradient = design.T @ (score - logistic(design @ beta)) + ridge * (0.5 - logistic(beta))
        if np.abs(gradient).max() <= TOLERANCE * max(1.0, len(score)):
            break
        step = np.linalg.solve(_information(design, beta, ridge), gradient)
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        while (tried := value(beta + step)) < reached - 1e-12 * abs(reached) and np.abs(step).max() > 1e-15:
            step /= 2
        beta, reached = beta + step, tried
    return beta
