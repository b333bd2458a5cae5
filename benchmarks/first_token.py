"""From the click to the first token on the wire, on the embedded default, and which part takes how long.

    python -m benchmarks.first_token [--rounds 50] [--beside-export]

Starts the product as `make run` does, in a home of its own, and behaves like the browser: it posts the prompt's form,
reads the answer, opens the events. The parts add up to the whole:

- web: until the row is written (routing, session, form, limits, transaction)
- broker: until a worker has claimed the row (commit, publish, Valkey, Celery, claim)
- engine: until the worker has the first token (waiting for a step, reading the prompt, one step): the model's share
- stream: until the first token is on the wire (publisher, Valkey, fan-out, server-sent events)

`portal` is everything but the engine. One prompt at a time on an idle installation; medians and 95th percentiles in ms.

`--beside-export` asks in turns, ten prompts on an idle installation and ten while a client downloads all judgements
(20,000, over and over), and says how much longer the first token takes then.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlencode

from tests.services.installation import ROOT, Installation, environment_of, manage

PROMPT = "Name one thing that a steelyard can weigh."
WARM_UP_ROUNDS = 5
EXPORTED_ROWS = 20_000
TURN = 10
# A process of its own, so that it takes nothing from the one that measures.
_DOWNLOAD = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
first = True
while True:
    with opener.open(request) as answer:
        while answer.read(65536):
            if first:
                print("begun", flush=True)
                first = False
"""
UNLIMITED = {"GENERATION_RATE": "100000/minute", "MAX_CONCURRENT_GENERATIONS": "1000"}


@dataclass(frozen=True, slots=True)
class Sample:
    """Milliseconds of one prompt's way to its first token."""

    web: float
    broker: float
    engine: float
    stream: float

    @property
    def portal(self) -> float:
        return self.web + self.broker + self.stream

    @property
    def whole(self) -> float:
        return self.portal + self.engine


class Browser:
    """As much of a browser as the way to the first token needs: one connection, cookies, the form, the events."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._cookies: dict[str, str] = {}
        page = self._request("GET", "/playground/")
        self._token = self._found(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        self._variant = self._found(r'<option value="([^"]+)"', page)

    def time_first_token(self) -> tuple[uuid.UUID, float, float]:
        """Sends the prompt; the run's id, and when the click and the first token were (Unix seconds)."""
        form = urlencode(
            {
                "csrfmiddlewaretoken": self._token, "request_key": uuid.uuid4(), "prompt": PROMPT,
                "variant": self._variant, "system_prompt": "", "temperature": 0, "top_p": 1, "max_tokens": 4, "seed": 1,
            }
        )  # fmt: skip
        clicked_at = time.time()
        page = self._request("POST", "/playground/", form, {"HX-Request": "true"})
        events = self._found(r"(/playground/g/[0-9a-f-]{36}/events/)", page)
        self._connection.request("GET", events, headers=self._headers({}))
        response = self._connection.getresponse()
        first_token_at = None
        for line in response:
            if first_token_at is None and line.startswith(b"event: delta"):
                first_token_at = time.time()
        assert first_token_at is not None, "the run ended without a token"
        return uuid.UUID(events.split("/")[3]), clicked_at, first_token_at

    def _request(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> str:
        self._connection.request(method, path, body, self._headers(headers or {}))
        response = self._connection.getresponse()
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        text = response.read().decode()
        assert response.status == 200, f"{method} {path}: {response.status}\n{text[:2000]}"
        return text

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded", **headers}

    @staticmethod
    def _found(pattern: str, text: str) -> str:
        match = re.search(pattern, text)
        assert match is not None, f"{pattern} is not in the page:\n{text[:2000]}"
        return match[1]


def split(database: sqlite3.Connection, run: uuid.UUID, clicked_at: float, first_token_at: float) -> Sample:
    """The parts of one run, by the moments that its row keeps."""
    created, started, timings = database.execute(
        "SELECT created_at, started_at, timings FROM playground_generation WHERE id = ?", [run.hex]
    ).fetchone()
    created_at, started_at = _unix(created), _unix(started)
    had_token_at = created_at + json.loads(timings)["first_token_s"]
    moments = [clicked_at, created_at, started_at, had_token_at, first_token_at]
    return Sample(*(1000 * (after - before) for before, after in pairwise(moments)))


def _unix(stored: str) -> float:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).timestamp()


def measure(rounds: int, home: Path) -> list[Sample]:
    installation = Installation(home, **UNLIMITED)
    try:
        installation.start().wait_until_ready()
        browser = Browser(installation.port)
        with sqlite3.connect(f"file:{home}/steelyard.sqlite3?mode=ro", uri=True) as database:
            runs = [browser.time_first_token() for _ in range(WARM_UP_ROUNDS + rounds)]
            return [split(database, *run) for run in runs[WARM_UP_ROUNDS:]]
    finally:
        installation.kill_everything()


def measure_beside_export(rounds: int, home: Path) -> tuple[list[Sample], list[Sample]]:
    """Prompts on an idle installation, and beside a client that downloads judgements; in turns."""
    fill = [sys.executable, "-m", "benchmarks.million_submissions", "build", "--rows", str(EXPORTED_ROWS)]
    subprocess.run(fill, check=True, env=environment_of(home), cwd=ROOT, stdout=subprocess.DEVNULL)
    with sqlite3.connect(home / "steelyard.sqlite3") as database:
        # Nobody can run these; the one that is asked is the first in the list.
        database.execute("UPDATE catalog_modelcard SET is_published = 0 WHERE owner_name = 'bench'")
    installation = Installation(home, **UNLIMITED)
    alone: list[Sample] = []
    beside: list[Sample] = []
    try:
        installation.start().wait_until_ready()
        made = manage(home, "create_token", "--user", "contributor0", "--scope", "read")
        address = f"http://127.0.0.1:{installation.port}/api/v1/exports/feedback/?format=jsonl"
        browser = Browser(installation.port)
        with sqlite3.connect(f"file:{home}/steelyard.sqlite3?mode=ro", uri=True) as database:
            for _ in range(WARM_UP_ROUNDS):
                browser.time_first_token()
            for _ in range(max(1, rounds // TURN)):
                runs = [browser.time_first_token() for _ in range(TURN)]
                alone += [split(database, *run) for run in runs]
                client = subprocess.Popen(
                    [sys.executable, "-c", _DOWNLOAD, address, made.stdout.strip()], stdout=subprocess.PIPE
                )
                try:
                    assert client.stdout is not None
                    client.stdout.readline()  # the first bytes are there
                    runs = [browser.time_first_token() for _ in range(TURN)]
                    assert client.poll() is None
                finally:
                    client.kill()
                    client.wait()
                beside += [split(database, *run) for run in runs]
    finally:
        installation.kill_everything()
    return alone, beside


def report(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Part → median and 95th percentile, ms."""
    parts: dict[str, Callable[[Sample], float]] = {
        **{field.name: (lambda sample, name=field.name: getattr(sample, name)) for field in fields(Sample)},
        "portal": lambda sample: sample.portal,
        "whole": lambda sample: sample.whole,
    }
    table = {}
    for name, part in parts.items():
        values = [part(sample) for sample in samples]
        table[name] = {
            "median_ms": round(statistics.median(values), 1),
            "p95_ms": round(statistics.quantiles(values, n=20)[-1], 1),
        }
    return table


def compare(alone: list[Sample], beside: list[Sample]) -> None:
    """Print part by part what an export makes of it."""
    idle, busy = report(alone), report(beside)
    print(f"First token, {len(alone)} prompts alone and {len(beside)} beside an export, in turns\n")
    print("| part | alone, ms | beside an export, ms | times |\n|---|---|---|---|")
    for name, row in idle.items():
        before, after = row["median_ms"], busy[name]["median_ms"]
        print(f"| {name} | {before} | {after} | {after / before:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="every sample as JSON instead of the table")
    parser.add_argument("--beside-export", action="store_true", help="alone and beside an export, in turns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder).resolve() / "home"
        home.mkdir()
        (home / "weights").symlink_to(ROOT / ".steelyard" / "weights")
        if options.beside_export:
            compare(*measure_beside_export(options.rounds, home))
            return
        samples = measure(options.rounds, home)
    if options.json:
        json.dump([asdict(sample) for sample in samples], sys.stdout, indent=1)
        return
    print(f"First token, {len(samples)} prompts one after another\n\n| part | median, ms | p95, ms |\n|---|---|---|")
    for name, row in report(samples).items():
        print(f"| {name} | {row['median_ms']} | {row['p95_ms']} |")


if __name__ == "__main__":
    main()
