"""Who meets whom in a battle: pure rules on weights and counts, with the draw at the end."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

Pair = tuple[int, int]

# The operating system's, so that nobody who knows earlier draws can tell the next one.
_RANDOM: Final = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Entrant:
    """A variant that may be drawn: its key, the key of its card, its sampling weight."""

    variant: int
    card: int
    weight: float


def pair_weights(
    entrants: Sequence[Entrant], *, same_card: bool | None, votes: Mapping[Pair, int]
) -> dict[Pair, float]:
    """How likely each pair is drawn, as weights: the product of both weights over one more than its votes so far.

    Pairs with few votes are favoured, since their intervals are the widest. `same_card` None allows every pair.
    Keys are ordered (smaller, larger), as in `votes`.
    """
    weights: dict[Pair, float] = {}
    for one, other in combinations(entrants, 2):
        if same_card is not None and (one.card == other.card) != same_card:
            continue
        weight = one.weight * other.weight
        if weight > 0:
            pair = ordered(one.variant, other.variant)
            weights[pair] = weight / (1 + votes.get(pair, 0))
    return weights


def ordered(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


def draw_sides(weights: Mapping[Pair, float], source: random.Random = _RANDOM) -> Pair:
    """A pair by its weight, its sides at random: (left, right). Raises ValueError when there is no pair."""
    if not weights:
        raise ValueError("weights: no two variants may meet")
    left, right = source.choices(list(weights), weights=list(weights.values()))[0]
    return (left, right) if source.random() < 0.5 else (right, left)
