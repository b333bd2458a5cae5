"""What it costs writers of SQLite to wait for each other: this portal's backend beside Django's, in turns.

    python -m benchmarks.sqlite_writers [--threads 8] [--processes 1] [--writes 1] [--rounds 40] [--json]

In every round each thread of each process changes rows in a transaction of its own, all at the same moment, as answers
do that end together; the clock runs until the last one has committed. Medians and 95th
percentiles in ms, and the ratio of the rounds' medians. `alone` is the same number of transactions one after another.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.db.utils import ConnectionHandler

BACKENDS = {"Django's": "django.db.backends.sqlite3", "in turns": "portal.sqlite_turns"}
OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
# Most of an answer's transaction is Django making SQL.
STATEMENTS = 300
TEXT = "A balance with two arms. " * 40


def open_database(engine: str, file: str) -> Any:
    databases: Any = ConnectionHandler({"default": {"ENGINE": engine, "NAME": file, "OPTIONS": OPTIONS}})
    return databases["default"]


def write(database: Any, number: int) -> None:
    """A row changed and a row stored in a transaction, which lasts as long as that of one answer's end: 1 to 2 ms."""
    with database.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        for _ in range(STATEMENTS):
            cursor.execute("UPDATE runs SET output = %s WHERE id = %s", [TEXT, number])
        cursor.execute("INSERT INTO traces (tokens) VALUES (%s)", [TEXT])
    database.commit()


def writers(engine: str, file: str, threads: int, writes: int, rounds: int, barrier: Barrier) -> None:
    """A process whose threads write at the same moment, round by round."""
    settings.configure(USE_TZ=True)
    django.setup()
    together = threading.Barrier(threads + 1)

    def work(number: int) -> None:
        database = open_database(engine, file)
        database.ensure_connection()
        for _ in range(rounds):
            together.wait()
            for _ in range(writes):
                write(database, number)
            together.wait()
        database.close()

    pool = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in pool:
        thread.start()
    for _ in range(rounds):
        barrier.wait()
        together.wait()
        together.wait()
        barrier.wait()
    for thread in pool:
        thread.join()


def measure(engine: str, file: Path, options: argparse.Namespace) -> list[float]:
    """Milliseconds of each round."""
    database = open_database(engine, str(file))
    with database.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, output TEXT)")
        cursor.execute("CREATE TABLE IF NOT EXISTS traces (id INTEGER PRIMARY KEY, tokens TEXT)")
        cursor.executemany("INSERT OR IGNORE INTO runs VALUES (%s, '')", [[each] for each in range(options.threads)])
    database.close()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(options.processes + 1)
    given = (engine, str(file), options.threads, options.writes, options.rounds, barrier)
    processes = [context.Process(target=writers, args=given) for _ in range(options.processes)]
    for process in processes:
        process.start()
    taken: list[float] = []
    for _ in range(options.rounds):
        barrier.wait()
        began = time.perf_counter()
        barrier.wait()
        taken.append(1000 * (time.perf_counter() - began))
    for process in processes:
        process.join()
    return taken


def alone(file: Path, options: argparse.Namespace) -> list[float]:
    """The same writes by one writer, in ms per round."""
    database = open_database(BACKENDS["Django's"], str(file))
    taken: list[float] = []
    for _ in range(options.rounds):
        began = time.perf_counter()
        for number in range(options.threads * options.processes * options.writes):
            write(database, number % options.threads)
        taken.append(1000 * (time.perf_counter() - began))
    database.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8, help="writers in a process")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--writes", type=int, default=1, help="transactions of each writer in a round")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--turns", type=int, default=3, help="how often the sides take turns")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings.configure(USE_TZ=True)
    django.setup()
    taken: dict[str, list[float]] = {name: [] for name in (*BACKENDS, "alone")}
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as folder:
        file = Path(folder) / "writers.sqlite3"
        for _ in range(options.turns):
            for name, engine in BACKENDS.items():
                taken[name] += measure(engine, file, options)
            taken["alone"] += alone(file, options)
    base = statistics.median(taken["Django's"])
    rows = [
        {
            "side": name,
            "median_ms": round(statistics.median(times), 1),
            "p95_ms": round(statistics.quantiles(times, n=20)[-1], 1),
            "ratio": round(statistics.median(times) / base, 2),
        }
        for name, times in taken.items()
    ]
    if options.json:
        json.dump({"facts": vars(options), "rows": rows}, sys.stdout, indent=2)
        print()
        return
    print("| side | median, ms | p95, ms | to Django's |")
    print("|---|--:|--:|--:|")
    for row in rows:
        print(f"| {row['side']} | {row['median_ms']} | {row['p95_ms']} | {row['ratio']} |")


if __name__ == "__main__":
    main()
