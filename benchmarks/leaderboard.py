"""How long a leaderboard takes, and whether its intervals hold what they promise.

    python -m benchmarks.leaderboard [--votes 100000] [--models 20] [--rounds 1000] [--trials 400]

Draws votes from models whose strengths are known. First the numbers alone: strengths with the bootstrap, and with style
held equal. Then the whole of it: the same number of votes in an SQLite database of its own, read, ranked and stored as
the worker's task does. Last the coverage: the share of 95% intervals that hold the truth, over many simulations.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django
import numpy as np
from django.core.management import call_command

from portal.arena.bradley_terry import PairCounts, rank_models
from portal.arena.style_control import rank_with_style

TIE_SHARE = 0.2
BATCH = 5_000
COVERAGE_MODELS = 6
COVERAGE_VOTES = 1_000
COVERAGE_ROUNDS = 200

Votes = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def simulate(strengths: np.ndarray[Any, Any], votes: int, seed: int, tie_share: float) -> Votes:
    """Left, right and the left's score."""
    random = np.random.default_rng(seed)
    models = len(strengths)
    left = random.integers(0, models, votes)
    right = (left + random.integers(1, models, votes)) % models
    wins = random.random(votes) < 1 / (1 + np.exp(strengths[right] - strengths[left]))
    return left, right, np.where(random.random(votes) < tie_share, 0.5, wins.astype(float))


def timed(label: str, action: Callable[[], object]) -> None:
    started = time.perf_counter()
    action()
    print(f"{label:<62}{time.perf_counter() - started:>8.2f} s")


def numbers(votes: int, models: int, rounds: int) -> None:
    strengths = np.linspace(1, -1, models)
    left, right, score = simulate(strengths, votes, 1, TIE_SHARE)
    style = np.random.default_rng(2).uniform(-1, 1, (votes, 4))
    counts = PairCounts.of_battles(models, left, right, score)
    timed(f"strengths and {rounds:,} bootstrap rounds", lambda: rank_models(counts, rounds=rounds, seed=1))
    timed("strengths with style held equal", lambda: rank_with_style(models, left, right, score, style))


def whole(votes: int, models: int) -> None:
    """Fill a database and rank it."""
    catalog, arena = import_module("portal.catalog.models"), import_module("portal.arena.models")
    ranking, tasks = import_module("portal.arena.ranking"), import_module("portal.arena.tasks")
    variants = []
    for number in range(models):
        card = catalog.ModelCard.objects.create(owner_name="lab", slug=f"model-{number}", title=f"Model {number}")
        variants.append(catalog.Variant.objects.create(card=card, slug="bf16", backend="transformers", source="none"))
    pool = arena.Pool.objects.get(slug="models")
    random = np.random.default_rng(3)
    left, right, score = simulate(np.linspace(1, -1, models), votes, 1, TIE_SHARE)
    outcomes = {1.0: "a", 0.0: "b", 0.5: "tie"}

    def style() -> dict[str, int]:
        return dict(zip(("characters", "headers", "lists", "bold"), map(int, random.integers(0, 900, 4)), strict=True))

    for begin in range(0, votes, BATCH):
        arena.Vote.objects.bulk_create(
            arena.Vote(
                kind="battle",
                pool=pool,
                variant_a=variants[left[each]],
                variant_b=variants[right[each]],
                outcome=outcomes[float(score[each])],
                style_a=style(),
                style_b=style(),
            )
            for each in range(begin, min(votes, begin + BATCH))
        )
    row = tasks.remember_ranking(ranking.Filters(pool="models"))
    timed(f"the task: {votes:,} votes read, ranked both ways, stored", lambda: tasks.refresh_ranking(row))
    timed("the task again, when nothing has changed", lambda: tasks.refresh_ranking(row))


def coverage(trials: int) -> None:
    strengths = np.linspace(1, -1, COVERAGE_MODELS)
    held = 0
    for trial in range(trials):
        votes = simulate(strengths, COVERAGE_VOTES, 1000 + trial, 0.0)
        ours = rank_models(PairCounts.of_battles(COVERAGE_MODELS, *votes), rounds=COVERAGE_ROUNDS, seed=trial)
        held += int(((ours.lower <= strengths) & (strengths <= ours.upper)).sum())
    share = held / (trials * COVERAGE_MODELS)
    label = f"95% intervals that hold the truth ({trials} x {COVERAGE_VOTES:,} votes)"
    print(f"{label:<62}{100 * share:>8.1f} %")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--trials", type=int, default=400)
    arguments = parser.parse_args()
    print(f"{arguments.votes:,} votes on {arguments.models} models")
    numbers(arguments.votes, arguments.models, arguments.rounds)
    with tempfile.TemporaryDirectory(prefix="steelyard-benchmark-") as home:
        os.environ |= {"STEELYARD_HOME": home, "DATABASE_URL": f"sqlite:///{home}/database.sqlite3"}
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        whole(arguments.votes, arguments.models)
    coverage(arguments.trials)
    return 0


if __name__ == "__main__":
    sys.exit(main())
