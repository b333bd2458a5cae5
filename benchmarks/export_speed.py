# ruff: noqa: E402 - Django is set up before its models are imported
"""How fast a million judgements leave the portal, beside what PostgreSQL's own COPY takes for the same columns.

    python -m benchmarks.export_speed [--rows 1000000] [--seed 6]

Starts a PostgreSQL of its own, unless DATABASE_URL names one, and fills it where it is empty
(benchmarks.review_database). COPY of `row_to_json` is the ceiling: the columns of the table `feedback`, made by the
database alone. Each export runs in a process of its own, which says what it wrote and by how much its memory grew while
it did. Then, through Django's own client: the time to the first byte of an export, a page at the very end of the cursor
against the first, and the 95th percentile of the API's list.

COPY and the exports alternate, three of each, and the best of each counts: other work on the machine makes slower and
never faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

import psutil
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from benchmarks.review_database import build
from portal.accounts.models import User
from portal.exports.criteria import Criteria
from portal.exports.cursors import Position
from portal.exports.formats import FORMATS
from portal.exports.tables import TABLES
from portal.feedback.models import Submission
from tests.services.postgres import postgres

ROUNDS: Final = 3
REQUESTS: Final = 60
PAGE_ROWS: Final = 100
WARM_UP_CHUNKS: Final = 3
# The columns of the table `feedback`; only the pseudonym is left out, whose key must not reach the database.
COPY: Final = """
COPY (SELECT row_to_json(t) FROM (
  SELECT s.id, s.created_at, s.changed_at, s.version, s.owner_id AS contributor,
    q.slug AS questionnaire, q.version AS questionnaire_version,
    (SELECT json_object_agg(question.key,
              COALESCE(to_json(NULLIF(a.choice, '')), to_json(a.number), to_json(NULLIF(a.text, ''))))
       FROM feedback_answer a JOIN feedback_question question ON question.id = a.question_id
      WHERE a.submission_id = s.id) AS answers,
    s.consent, s.licence, s.language, s.review_state, s.generation_id AS generation,
    c.owner_name || '/' || c.slug AS card, v.slug AS variant, c.owner_name || '/' || c.slug || ':' || v.slug AS model,
    jsonb_array_length(g.messages) AS turn, g.prompt, g.output, g.finish_reason, g.params, g.params -> 'seed' AS seed,
    g.provenance -> 'weights_sha256' AS weights_sha256, g.provenance
  FROM feedback_submission s
    JOIN feedback_questionnaire q ON q.id = s.questionnaire_id
    JOIN catalog_modelcard c ON c.id = s.card_id
    JOIN catalog_variant v ON v.id = s.variant_id
    JOIN playground_generation g ON g.id = s.generation_id
  WHERE s.withdrawn_at IS NULL AND s.consent IN ('publish', 'quote') AND s.target = 'generation'
  ORDER BY s.created_at, s.id
) t) TO STDOUT
"""


def copied() -> tuple[int, int, float]:
    """Rows, bytes and seconds of COPY."""
    began = time.perf_counter()
    rows = size = 0
    with connection.cursor() as cursor, cursor.copy(COPY) as lines:
        for line in lines:
            rows += line.tobytes().count(b"\n") if isinstance(line, memoryview) else line.count(b"\n")
            size += len(line)
    return rows, size, time.perf_counter() - began


def export(name: str) -> None:
    """In a process of its own: write everything to nowhere, and say how it went."""
    process = psutil.Process()
    rows = size = peak = base = 0
    began = time.perf_counter()
    for chunks, (piece, count) in enumerate(TABLES["feedback"].plan(Criteria()).pieces(FORMATS[name])):
        rows += count
        size += len(piece)
        now = process.memory_info().rss
        if chunks == WARM_UP_CHUNKS:
            # Libraries and the connection are loaded by now; what grows from here grows with the export.
            base = now
        peak = max(peak, now)
    seconds = time.perf_counter() - began
    print(json.dumps({"rows": rows, "bytes": size, "seconds": seconds, "grown": max(0, peak - base)}))


def exported(name: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.export_speed", "--export", name], check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare() -> None:
    """A table: format, seconds, rows per second, of COPY's speed, memory."""
    copies, runs = [], []
    for _ in range(ROUNDS):
        copies.append(copied())
        runs.append(exported("jsonl"))
    rows, size, seconds = min(copies, key=lambda each: each[2])
    print(f"{rows:,} rows of feedback; best of {ROUNDS}")
    print(f"{'':<14}{'s':>8}{'rows/s':>10}{'MB':>8}{'of COPY':>9}{'memory +MB':>12}")
    print(f"{'COPY':<14}{seconds:>8.2f}{rows / seconds:>10,.0f}{size / 1e6:>8.0f}{1:>9.2f}{'':>12}", flush=True)
    best = {
        "jsonl": min(runs, key=lambda each: each["seconds"]),
        **{name: exported(name) for name in ("csv", "parquet")},
    }
    for name, run in best.items():
        assert run["rows"] == rows, (run, rows)
        speed = run["rows"] / run["seconds"]
        grown = max(each["grown"] for each in runs) if name == "jsonl" else run["grown"]
        print(
            f"{name:<14}{run['seconds']:>8.2f}{speed:>10,.0f}{run['bytes'] / 1e6:>8.0f}"
            f"{speed * seconds / rows:>9.2f}{grown / 1e6:>12.1f}",
            flush=True,
        )


def timed(act: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each, ordered; one that warms up is left out."""
    times = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        act()
        if number:
            times.append(1_000 * (time.perf_counter() - began))
    return sorted(times)


def ask() -> None:
    """First byte, first and last page, and the list's 95th percentile, in milliseconds."""
    settings.API_RATE = "1000000/minute"
    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.get(username="chief"))
    address = reverse("api:feedback-list")

    def first_byte(name: str) -> None:
        response = client.get(address, {"format": name})
        next(iter(response.streaming_content))  # type: ignore[arg-type]
        response.close()

    for name in ("jsonl", "csv"):
        times = timed(lambda name=name: first_byte(name), 10)
        print(f"{f'first byte, {name}':<34}{statistics.median(times):>8.1f} ms median{times[-1]:>8.1f} at most")
    live = Submission.objects.filter(withdrawn_at=None).order_by("created_at", "id").values_list("created_at", "id")
    count = live.count()
    deep = min(10_000, count // PAGE_ROWS - 1)
    cursor = Position(*live[(deep - 1) * PAGE_ROWS]).encoded()

    def page(**query: Any) -> None:
        response = client.get(address, query)
        assert response.status_code == 200, response.content
        assert len(response.json()["results"]) == PAGE_ROWS

    first = timed(page, REQUESTS)
    last = timed(lambda: page(cursor=cursor), REQUESTS)
    for name, times in (("page 1", first), (f"page {deep:,}", last)):
        p95 = times[round(0.95 * (len(times) - 1))]
        print(f"{name:<34}{statistics.median(times):>8.1f} ms median{p95:>8.1f} p95")
    print(f"{f'page {deep:,} / page 1':<34}{statistics.median(last) / statistics.median(first):>8.2f}")
    filters = [{"language": "de"}, {"thumb": "down"}, {"card": "bench/model-3"}, {"review_state": "accepted"}]
    mixed = timed(lambda: page(**filters[int(time.perf_counter() * 1e6) % len(filters)]), REQUESTS)
    p95 = mixed[round(0.95 * (len(mixed) - 1))]
    print(f"{'page 1 under a filter':<34}{statistics.median(mixed):>8.1f} ms median{p95:>8.1f} p95")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--export", choices=list(FORMATS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.export:
        export(arguments.export)
        return
    if connection.vendor != "postgresql":
        with postgres() as url:
            again = [sys.executable, "-m", "benchmarks.export_speed", *sys.argv[1:]]
            sys.exit(subprocess.run(again, check=False, env={**os.environ, "DATABASE_URL": url}).returncode)
    if "feedback_submission" not in connection.introspection.table_names() or not Submission.objects.exists():
        build(arguments.rows, arguments.seed)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    compare()
    ask()


if __name__ == "__main__":
    main()
