"""Bradley-Terry strengths from pairwise votes, their intervals and ranks. Pure numpy; docs/methodology.md explains it.

Model i beats model j with probability 1 / (1 + exp(θj - θi)); a tie is half a win for each, as LMArena counts it.
Strengths are natural-log odds; `to_elo` puts them on the familiar scale.

Sources: Bradley & Terry 1952; Hunter 2004, "MM algorithms for generalized Bradley-Terry models" (when strengths exist);
Chiang et al. 2024, "Chatbot Arena" (bootstrap, ranks by intervals).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from portal.arena.proportions import NORMAL_QUANTILE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# One tie with an average model, added to each model's record: strengths stay finite where a model won or lost always.
PRIOR_TIES: Final = 1.0
ELO_PER_LOG_ODDS: Final = 400 / np.log(10)
ELO_CENTRE: Final = 1000.0
CONFIDENCE: Final = 0.95
# Below it a bootstrap has seen too few outcomes: of votes that all say the same, every sample is the same.
FEW_VOTES: Final = 30
# Of replicates fitted at once: bounds memory, whatever the number of models.
_BATCH_CELLS: Final = 4_000_000
# Of Newton's method: after so many steps, or with a gradient as small as this for each vote, it has arrived.
MAX_STEPS: Final = 100
TOLERANCE: Final = 1e-9
LONGEST_STEP: Final = 4.0


@dataclass(frozen=True, slots=True)
class PairCounts:
    """All that plain strengths need of any number of votes: `wins[i, j]`, i over j, and symmetric `ties[i, j]`."""

    wins: Integers
    ties: Integers

    @classmethod
    def of_battles(cls, models: int, left: Integers, right: Integers, score: Floats) -> PairCounts:
        """`score` is the left model's: 1 for a win, 0 for a loss, 0.5 for a tie."""
        wins = np.zeros((models, models), dtype=np.int64)
        ties = np.zeros((models, models), dtype=np.int64)
        np.add.at(wins, (left[score == 1], right[score == 1]), 1)
        np.add.at(wins, (right[score == 0], left[score == 0]), 1)
        tied = score == 0.5
        np.add.at(ties, (left[tied], right[tied]), 1)
        return cls(wins, ties + ties.T)

    @property
    def models(self) -> int:
        return int(self.wins.shape[0])

    @property
    def total(self) -> int:
        return int(self.wins.sum() + self.ties.sum() // 2)

    @property
    def games(self) -> Integers:
        """How often each two met."""
        met: Integers = self.wins + self.wins.T + self.ties
        return met

    @property
    def scores(self) -> Floats:
        """`scores[i, j]`: what i took from j, ties as halves."""
        taken: Floats = self.wins + 0.5 * self.ties
        return taken


def components(games: Integers) -> Integers:
    """A number per model, equal for those that are joined by votes; across others nothing can be said."""
    models = games.shape[0]
    number = np.full(models, -1, dtype=np.int64)
    for start in range(models):
        if number[start] >= 0:
            continue
        number[start] = start
        frontier = [start]
        while frontier:
            at = frontier.pop()
            for other in np.flatnonzero(games[at]):
                if number[other] < 0:
                    number[other] = start
                    frontier.append(int(other))
    return np.unique(number, return_inverse=True)[1].astype(np.int64)


def is_bounded(counts: PairCounts) -> bool:
    """Whether strengths exist without a prior: within each component everybody is beaten, in steps, by everybody
    (Ford's condition); a tie counts both ways."""
    taken = counts.scores > 0
    reach = taken | np.eye(counts.models, dtype=bool)
    for middle in range(counts.models):
        reach |= np.outer(reach[:, middle], reach[middle])
    part = components(counts.games)
    joined = part[:, None] == part[None, :]
    return bool(np.all(reach[joined]))


def fit_strengths(scores: Floats, *, prior: float = PRIOR_TIES, start: Floats | None = None) -> Floats:
    """The most likely strengths, by Newton's method, for each of `scores` (…, models, models).

    The likelihood is concave, so what it finds is the maximum. Without a prior, strengths have mean 0 and scores have
    to be bounded and connected.
    """
    shape = scores.shape[:-1]
    models = shape[-1]
    batch = np.ascontiguousarray(scores, dtype=np.float64).reshape(-1, models, models)
    games = batch + batch.transpose(0, 2, 1)
    theta = np.zeros((len(batch), models)) if start is None else np.tile(start, (len(batch), 1))
    scale = np.maximum(1.0, games.sum(axis=(1, 2)))
    value = _log_likelihood(batch, theta, prior)
    active = np.arange(len(batch))
    diagonal = np.arange(models)
    for _step in range(MAX_STEPS):
        won = logistic(theta[active, :, None] - theta[active, None, :])
        own = logistic(theta[active])
        gradient = (batch[active] - games[active] * won).sum(axis=2) + prior * (0.5 - own)
        unfinished = np.abs(gradient).max(axis=1) > TOLERANCE * scale[active]
        if not unfinished.any():
            break
        active, won, own, gradient = active[unfinished], won[unfinished], own[unfinished], gradient[unfinished]
        weight = games[active] * won * (1 - won)
        hessian = -weight
        hessian[:, diagonal, diagonal] = weight.sum(axis=2) + prior * own * (1 - own)
        if prior == 0:
            # The level is free: any, so that it keeps its mean.
            hessian += 1.0
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        step *= np.minimum(1.0, LONGEST_STEP / np.maximum(np.abs(step).max(axis=1), 1e-300))[:, None]
        _climb(batch, theta, value, active, step, prior)
    return theta.reshape(shape)


def _climb(batch: Floats, theta: Floats, value: Floats, active: Integers, step: Floats, prior: float) -> None:
    """Go along `step`, half as far where that would go down."""
    pending = np.arange(len(active))
    for _halving in range(40):
        rows = active[pending]
        tried = theta[rows] + step[pending]
        reached = _log_likelihood(batch[rows], tried, prior)
        better = reached >= value[rows] - 1e-12 * np.abs(value[rows])
        theta[rows[better]] = tried[better]
        value[rows[better]] = reached[better]
        pending = pending[~better]
        if not len(pending):
            return
        step[pending] /= 2


def _log_likelihood(scores: Floats, theta: Floats, prior: float) -> Floats:
    said = -np.logaddexp(0, theta[:, None, :] - theta[:, :, None])
    alone = -0.5 * (np.logaddexp(0, theta) + np.logaddexp(0, -theta))
    total: Floats = (scores * said).sum(axis=(1, 2)) + prior * alone.sum(axis=1)
    return total


def logistic(value: Floats) -> Floats:
    """1 / (1 + exp(-value)), without overflow."""
    result: Floats = 0.5 * (1 + np.tanh(0.5 * value))
    return result


def centred(theta: Floats, part: Integers) -> Floats:
    """Strengths (…, models) with mean 0 in each component, so that those of different votes can be compared."""
    result = np.array(theta, dtype=np.float64)
    for number in np.unique(part):
        members = part == number
        result[..., members] -= result[..., members].mean(axis=-1, keepdims=True)
    return result


def strength_errors(games: Integers, theta: Floats, part: Integers, *, prior: float = PRIOR_TIES) -> Floats:
    """Standard errors of the centred strengths, from the curvature of the likelihood and its prior at `theta`."""
    won = logistic(theta[:, None] - theta[None, :])
    own = logistic(theta)
    weight = games * won * (1 - won)
    information = np.diag(weight.sum(axis=1) + prior * own * (1 - own)) - weight
    if prior == 0:
        # The level is free, and centring takes it away.
        information += 1.0
    joined = part[:, None] == part[None, :]
    centring = np.eye(len(theta)) - joined / joined.sum(axis=1, keepdims=True)
    errors: Floats = np.sqrt(np.diag(centring @ np.linalg.inv(information) @ centring.T))
    return errors


def resample(counts: PairCounts, rounds: int, random: np.random.Generator) -> Floats:
    """Scores of `rounds` bootstrap samples (rounds, models, models).

    Drawing as many votes as there are, with replacement, is one multinomial draw over the few kinds of votes: (winner,
    loser) and (tied pair). So a round costs the same whatever the number of votes.
    """
    won = np.argwhere(counts.wins > 0)
    tied = np.argwhere(np.triu(counts.ties) > 0)
    cells = np.concatenate([counts.wins[tuple(won.T)], counts.ties[tuple(tied.T)]])
    total = cells.sum()
    drawn = random.multinomial(total, cells / total, size=rounds).astype(np.float64)
    scores = np.zeros((rounds, counts.models, counts.models))
    scores[:, won[:, 0], won[:, 1]] = drawn[:, : len(won)]
    halves = 0.5 * drawn[:, len(won) :]
    scores[:, tied[:, 0], tied[:, 1]] += halves
    scores[:, tied[:, 1], tied[:, 0]] += halves
    return scores


@dataclass(frozen=True, slots=True)
class Strengths:
    """Per model: strength, and its interval of CONFIDENCE; `part` numbers the components."""

    theta: Floats
    lower: Floats
    upper: Floats
    part: Integers

    @property
    def ranks(self) -> Integers:
        """1 + how many of the same component are certainly stronger: their lower bound lies above this upper bound."""
        above = (self.lower[None, :] > self.upper[:, None]) & (self.part[None, :] == self.part[:, None])
        ranks: Integers = 1 + above.sum(axis=1)
        return ranks


def rank_models(counts: PairCounts, *, rounds: int, seed: int, prior: float = PRIOR_TIES) -> Strengths:
    """Strengths with bootstrap percentile intervals; a model of few votes has at least the normal interval."""
    part = components(counts.games)
    if counts.total == 0:
        unknown = np.zeros(counts.models)
        return Strengths(unknown, unknown, unknown, part)
    theta = fit_strengths(counts.scores, prior=prior)
    shown = centred(theta, part)
    random = np.random.default_rng(seed)
    batch = max(1, min(rounds, _BATCH_CELLS // counts.models**2))
    replicates = np.concatenate(
        [
            centred(fit_strengths(resample(counts, min(batch, rounds - done), random), prior=prior, start=theta), part)
            for done in range(0, rounds, batch)
        ]
    )
    tail = 100 * (1 - CONFIDENCE) / 2
    lower, upper = np.percentile(replicates, [tail, 100 - tail], axis=0)
    has_few = counts.games.sum(axis=1) < FEW_VOTES
    if has_few.any():
        reach = NORMAL_QUANTILE * strength_errors(counts.games, theta, part, prior=prior)
        lower = np.where(has_few, np.minimum(lower, shown - reach), lower)
        upper = np.where(has_few, np.maximum(upper, shown + reach), upper)
    return Strengths(shown, lower, upper, part)


def to_elo(theta: Floats) -> Floats:
    """On the scale of chess: 400 points are odds of ten to one; 1000 is the average model."""
    points: Floats = ELO_CENTRE + ELO_PER_LOG_ODDS * theta
    return points
