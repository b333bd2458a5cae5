"""How long the server takes for a conversation of 200 turns and for one with 50 siblings, beside one of a single turn.

    python -m benchmarks.conversation_pages [--turns 200] [--siblings 50] [--rounds 100]

Fills an SQLite database of its own and asks for each page in turn as its owner, through the whole of Django:
middleware, queries, template. Medians and 95th percentiles in ms, of processor time, which other programs do not
change, and of wall time, which they do; and the number of queries. The aim is below 200 ms with as many queries for
the long ones as for the short.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import django
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

WARM_UP_ROUNDS = 3
ANSWER = """A steelyard has **two arms** of unequal length.

- The load hangs on the short one.
- A `poise` slides along the long one until they balance.

| arm | what hangs there |
|---|---|
| short | the load |
| long | the poise |

Its scale is linear: $W a = w b$.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One page."""

    page: str
    processor_p50_ms: float
    processor_p95_ms: float
    wall_p50_ms: float
    wall_p95_ms: float
    queries: int


def fill_conversations(turns: int, siblings: int) -> tuple[Any, dict[str, str]]:
    """The owner, and the pages' addresses by what they show."""
    turn_maker = import_module("tests.playground.turns")
    owner = import_module("portal.accounts.models").User.objects.create_user("owner")
    variant = turn_maker.make_variant()
    short, long, wide = (turn_maker.make_conversation(owner, title) for title in ("short", "long", "wide"))
    turn_maker.add_turn(short, variant, output=ANSWER)
    turn = None
    for number in range(turns):
        answer = f"Answer {number}. {ANSWER}"
        turn = turn_maker.add_turn(long, variant, turn, prompt=f"Question {number}?", output=answer)
    first = turn_maker.add_turn(wide, variant, output=ANSWER)
    for _ in range(siblings):
        turn_maker.add_turn(wide, variant, first, output=ANSWER)
    return owner, {
        "1 turn": short.get_absolute_url(),
        f"{turns} turns": long.get_absolute_url(),
        f"{siblings} siblings": wide.get_absolute_url(),
    }


def measure(client: Client, pages: dict[str, str], rounds: int) -> list[Row]:
    """All pages in turns."""
    durations: dict[str, list[tuple[float, float]]] = {name: [] for name in pages}
    for number in range(rounds + WARM_UP_ROUNDS):
        for name, address in pages.items():
            before = (time.process_time(), time.perf_counter())
            response = client.get(address)
            after = (time.process_time(), time.perf_counter())
            if response.status_code != 200:
                raise SystemExit(f"{address} answered {response.status_code}")
            if number >= WARM_UP_ROUNDS:
                durations[name].append((1000 * (after[0] - before[0]), 1000 * (after[1] - before[1])))
    rows = []
    for name, address in pages.items():
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        processor, wall = zip(*durations[name], strict=True)
        figures = [round(figure, 1) for kind in (processor, wall) for figure in (statistics.median(kind), p95(kind))]
        rows.append(Row(name, *figures, len(queries)))
    return rows


def p95(durations: Sequence[float]) -> float:
    return statistics.quantiles(durations, n=20, method="inclusive")[-1]


def as_markdown(rows: Sequence[Row]) -> str:
    lines = ["| page | processor p50, ms | p95 | wall p50, ms | p95 | queries |", "|---|--:|--:|--:|--:|--:|"]
    lines += ["| " + " | ".join(str(value) for value in asdict(row).values()) + " |" for row in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--siblings", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="JSON instead of the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steelyard-benchmark-") as home:
        os.environ |= {"STEELYARD_HOME": home, "DATABASE_URL": f"sqlite:///{home}/database.sqlite3"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        owner, pages = fill_conversations(options.turns, options.siblings)
        client = Client(SERVER_NAME="127.0.0.1")
        client.force_login(owner)
        rows = measure(client, pages, options.rounds)
    if options.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
        print()
    else:
        print(as_markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
