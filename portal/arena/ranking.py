"""A leaderboard from the votes that a filter selects: read them, rank, and put the figures into one JSON object."""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from portal.arena.bradley_terry import (
    Floats,
    PairCounts,
    Strengths,
    is_bounded,
    rank_models,
    to_elo,
)
from portal.arena.models import Category, Kind, Outcome, Vote
from portal.arena.proportions import wilson_interval
from portal.arena.review_states import SET_ASIDE, ReviewState
from portal.arena.style_control import StyledStrengths, rank_with_style, style_differences
from portal.arena.style_counts import FEATURES

ROUNDS: Final = 1_000
HARD_FROM: Final = 2
PERIODS: Final = (7, 30, 90)
# Fewer votes than this tell nothing about style.
LEAST_STYLED_VOTES: Final = 50
_SCORE: Final[dict[str, float]] = {Outcome.A: 1.0, Outcome.B: 0.0, Outcome.TIE: 0.5, Outcome.BOTH_BAD: 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which votes count. Empty and None do not narrow."""

    pool: str
    language: str = ""
    category: str = ""
    is_hard: bool = False
    variant: int | None = None
    days: int | None = None
    accepted_only: bool = False

    @property
    def key(self) -> str:
        """Equal for equal filters."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def as_mapping(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_narrowed(self) -> bool:
        return self != Filters(pool=self.pool)

    def votes(self) -> QuerySet[Vote]:
        """The ranked votes among them."""
        chosen = Q(pool__slug=self.pool, kind=Kind.BATTLE, void_reason="", withdrawn_at=None)
        if self.language:
            chosen &= Q(language=self.language)
        if self.category in Category.values:
            chosen &= Q(category=self.category)
        if self.is_hard:
            chosen &= Q(hardness__gte=HARD_FROM)
        if self.variant is not None:
            chosen &= Q(variant_a=self.variant) | Q(variant_b=self.variant)
        if self.days is not None:
            chosen &= Q(created_at__gte=timezone.now() - timedelta(days=self.days))
        if self.accepted_only:
            chosen &= Q(review_state=ReviewState.ACCEPTED)
        else:
            chosen &= ~Q(review_state__in=SET_ASIDE)
        return Vote.objects.filter(chosen).order_by()


@dataclass(frozen=True, slots=True)
class HighWater:
    """How far the votes have come: another count or a later change means that a ranking is old."""

    votes: int
    changed_at: datetime | None

    @classmethod
    def of(cls, filters: Filters) -> HighWater:
        found = filters.votes().aggregate(count=Count("pk"), last=Max("changed_at"))
        return cls(found["count"], found["last"])


def compute_ranking(filters: Filters, *, rounds: int = ROUNDS) -> dict[str, Any]:
    """Everything that the leaderboard's page shows, from one read of the votes."""
    started = time.perf_counter()
    rows = list(
        filters.votes()
        .order_by("created_at", "pk")
        .values_list(
            "variant_a", "variant_b", "outcome", "style_a", "style_b", "prompt_digest", "owner", "visitor", named=False
        )
    )
    variants = sorted({row[0] for row in rows} | {row[1] for row in rows})
    place = {variant: position for position, variant in enumerate(variants)}
    left = np.array([place[row[0]] for row in rows], dtype=np.int64)
    right = np.array([place[row[1]] for row in rows], dtype=np.int64)
    score = np.array([_SCORE[row[2]] for row in rows], dtype=np.float64)
    counts = PairCounts.of_battles(len(variants), left, right, score)
    strengths = rank_models(counts, rounds=rounds, seed=int(filters.key[:8], 16))
    styled = None
    if len(rows) >= LEAST_STYLED_VOTES:
        style = style_differences(_features([row[3] for row in rows]), _features([row[4] for row in rows]))
        styled = rank_with_style(len(variants), left, right, score, style)
    return {
        "votes": len(rows),
        "rounds": rounds,
        "models": _models(variants, counts, strengths, styled),
        "pairs": _pairs(variants, counts, strengths.theta),
        "parts": int(strengths.part.max()) + 1 if variants else 0,
        "is_bounded": is_bounded(counts),
        "ties": _share(sum(row[2] == Outcome.TIE for row in rows), len(rows)),
        "both_bad": _share(sum(row[2] == Outcome.BOTH_BAD for row in rows), len(rows)),
        "left_wins": _share(int((score == 1).sum()), int((score != 0.5).sum())),
        "agreement": _agreement(rows),
        "style": _style_effects(styled),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _features(counts: list[dict[str, Any]]) -> Floats:
    return np.array([[each.get(name, 0) for name in FEATURES] for each in counts], dtype=np.float64)


def _models(
    variants: list[int], counts: PairCounts, strengths: Strengths, styled: StyledStrengths | None
) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = []
    games, scores = counts.games, counts.scores
    for position, variant in enumerate(variants):
        n = int(games[position].sum())
        models.append(
            {
                "variant": variant,
                "n": n,
                "wins": int(counts.wins[position].sum()),
                "losses": int(counts.wins[:, position].sum()),
                "ties": int(counts.ties[position].sum()),
                "score": _share(float(scores[position].sum()), n),
                "part": int(strengths.part[position]),
                "plain": _place(strengths, position),
                "styled": _place(styled.strengths, position) if styled is not None else None,
            }
        )
    models.sort(key=lambda each: (each["part"], -each["plain"]["elo"]))
    return models


def _place(strengths: Strengths, position: int) -> dict[str, Any]:
    return {
        "elo": round(float(to_elo(strengths.theta)[position]), 2),
        "lower": round(float(to_elo(strengths.lower)[position]), 2),
        "upper": round(float(to_elo(strengths.upper)[position]), 2),
        "rank": int(strengths.ranks[position]),
    }


def _pairs(variants: list[int], counts: PairCounts, theta: Floats) -> list[dict[str, Any]]:
    """Who met whom: what the first took from the second, and what their strengths would have it take."""
    games = counts.games
    return [
        {
            "variant": variants[one],
            "against": variants[other],
            "wins": int(counts.wins[one, other]),
            "ties": int(counts.ties[one, other]),
            "expected": round(float(1 / (1 + np.exp(theta[other] - theta[one]))), 4),
            **_share(float(counts.scores[one, other]), int(games[one, other])),
        }
        for one in range(len(variants))
        for other in range(len(variants))
        if one != other and games[one, other]
    ]


def _share(hits: float, n: int) -> dict[str, Any]:
    lower, upper = wilson_interval(hits, n)
    return {"share": round(hits / n, 4) if n else None, "lower": round(lower, 4), "upper": round(upper, 4), "n": n}


def _agreement(rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Of the first two votes on the same prompts and the same two variants, how often they said the same.

    Only the first two of each group count, so that the pairs are independent of each other.
    """
    groups: defaultdict[tuple[Any, ...], list[tuple[Any, Any]]] = defaultdict(list)
    for one, other, outcome, _style_a, _style_b, digest, owner, visitor in rows:
        if digest:
            preferred = one if outcome == Outcome.A else other if outcome == Outcome.B else None
            groups[(digest, *sorted((one, other)))].append((preferred, owner or visitor))
    same: dict[str, list[int]] = {"one_person": [0, 0], "two_people": [0, 0]}
    for votes in groups.values():
        if len(votes) > 1:
            (first, voter), (second, other_voter) = votes[:2]
            tally = same["one_person" if voter is not None and voter == other_voter else "two_people"]
            tally[0] += first == second
            tally[1] += 1
    return {name: _share(agreed, n) for name, (agreed, n) in same.items()}


def _style_effects(styled: StyledStrengths | None) -> list[dict[str, Any]]:
    if styled is None:
        return []
    return [
        {
            "feature": name,
            "effect": round(float(effect), 4),
            "lower": round(float(effect - 1.96 * error), 4),
            "upper": round(float(effect + 1.96 * error), 4),
        }
        for name, effect, error in zip(FEATURES, styled.effects, styled.effect_errors, strict=True)
    ]
