"""How long giving feedback takes: a judgement with reasons and a comment, and a whole campaign form.

    python -m benchmarks.submitting [--rounds 200] [--before 5000] [--database postgresql://…]

Fills an SQLite database of its own, or an empty one that is named, with judgements given before, and then gives more
through the services that pages and API call: validation, the rate limit, the language of the comment, one
transaction. Medians and 95th percentiles in ms of wall time, which other programs change, and of processor time,
which they do not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.utils import timezone

JUDGEMENT = {
    "thumb": "down",
    "helpfulness": 2,
    "reasons_down": ["incorrect", "repetitive"],
    "comment": "It names no source, and what it says about the lever is the wrong way round.",
}
CAMPAIGN = {
    "uses": ["coding", "research"],
    "size": "small",
    "priorities": [["reasoning"], ["languages", "speed"], ["context"], ["tools"], ["openness"]],
    "today": {"facts": "usable", "code": "good"},
    "would_switch": 7,
    "memory": 24,
    "licence_matters": "no",
    "wish": "A model that says when it does not know, in more languages than English.",
}


def module(name: str) -> Any:
    """A module of the portal, which can be imported only once Django is set up."""
    return import_module(f"portal.{name}")


def make_run(variant: Any, visitor: uuid.UUID) -> Any:
    playground = module("playground.models")
    conversation = playground.Conversation.objects.create(visitor=visitor, title="What is a steelyard?")
    return playground.Generation.objects.create(
        conversation=conversation,
        variant=variant,
        prompt="What is a steelyard?",
        messages=[{"role": "user", "content": "What is a steelyard?"}],
        params={},
        output="A balance with two arms. " * 20,
        state=playground.State.SUCCEEDED,
        finish_reason="stop",
        finished_at=timezone.now(),
    )


def measured(give: Callable[[], object], rounds: int) -> dict[str, list[float]]:
    """Of each clock, the times in ms from the shortest on."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    times: dict[str, list[float]] = {name: [] for name in clocks}
    for _round in range(rounds):
        began = {name: clock() for name, clock in clocks.items()}
        give()
        for name, clock in clocks.items():
            times[name].append((clock() - began[name]) * 1_000)
    return {name: sorted(each) for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--before", type=int, default=5_000)
    parser.add_argument("--database", help="the URL of an empty database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "STEELYARD_HOME": home,
            "DATABASE_URL": options.database or f"sqlite:///{Path(home) / 'db.sqlite3'}",
            "FEEDBACK_RATE": "1000000/minute",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "LOG_LEVEL": "ERROR",
        }
        django.setup()
        call_command("migrate", verbosity=0)
        run_all(options.rounds, options.before)


def run_all(rounds: int, before: int) -> None:
    models, services = module("feedback.models"), module("feedback.services")
    campaign_services, actors = module("feedback.campaign_services"), module("accounts.actors")
    module("catalog.seed").seed_cards()
    variant = module("catalog.models").Variant.objects.select_related("card")[0]
    questionnaire = module("feedback.queries").answer_questionnaire()
    campaign = models.Campaign.objects.get()
    run = make_run(variant, uuid.uuid4())
    models.Submission.objects.bulk_create(
        models.Submission.on(run, questionnaire, visitor=uuid.uuid4()) for _number in range(before)
    )

    def judge() -> None:
        judged = runs.pop()
        services.submit_feedback(actors.Actor(visitor=judged.conversation.visitor), judged, JUDGEMENT)

    def take_part() -> None:
        actor = actors.Actor(visitor=uuid.uuid4())
        campaign_services.send_answers(actor, campaign, CAMPAIGN, module("feedback.terms").Terms())

    runs = [make_run(variant, uuid.uuid4()) for _number in range(rounds + 3)]
    for give in (judge, take_part):
        measured(give, 3)
    print(f"{before:,} judgements given before, {rounds} rounds\n")
    print("| | median ms | p95 ms | processor: median ms | p95 ms |\n|---|---:|---:|---:|---:|")
    for name, give in (("judgement with reasons and comment", judge), ("campaign of eight answers", take_part)):
        cells = []
        for times in measured(give, rounds).values():
            cells += [f"{statistics.median(times):.1f}", f"{times[int(len(times) * 0.95)]:.1f}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
