"""Waiting times inside the engine: the first token in a crowd, and the gaps of running streams while a prompt arrives.

    python -m benchmarks.engine_latency [FOLDER] [--batch 8] [--rounds 5] [--prompt-tokens 2000] [--threads N] [--json]

First tokens: BATCH prompts at once, seconds from submission. Gaps: seconds between two deltas of seven running streams,
alone and while an eighth request's long prompt is read; only their ratio means something on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import inference  # noqa: F401 - sets how torch's threads wait, before torch is loaded

# isort: split
import itertools

from benchmarks._weights import default_folder
from inference.engine import GenerationRequest, Message
from inference.events import TERMINAL_EVENTS, Delta, Emission
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine

PROMPT = "Tell me a story about the lighthouse number {number} and the people who lived there."
GAP_LIMIT = 3.0
FIRST_TOKEN_LIMIT_S = 0.4


class Clock:
    """Notes when each request's deltas came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.times: dict[str, list[float]] = {}
        self._ended: set[str] = set()

    def __call__(self, emissions: Sequence[Emission]) -> None:
        now = time.perf_counter()
        with self._changed:
            for each in emissions:
                if isinstance(each.event, Delta):
                    self.times.setdefault(each.request_id, []).append(now)
                elif isinstance(each.event, TERMINAL_EVENTS):
                    self._ended.add(each.request_id)
            self._changed.notify_all()

    def wait_for_deltas(self, request_id: str, count: int) -> None:
        """Until that request has so many deltas, or has ended."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self.times.get(request_id, ())) >= count or request_id in self._ended, timeout=600
            )

    def wait_for_ends(self, request_ids: Sequence[str]) -> None:
        """Until all have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended.issuperset(request_ids), timeout=600)


def _request(name: str, text: str, tokens: int) -> GenerationRequest:
    params = SamplingParams(temperature=0, max_tokens=tokens, min_tokens=tokens)
    return GenerationRequest(request_id=name, messages=(Message("user", text),), params=params)


def first_tokens(
    engine: TransformersEngine, clock: Clock, *, batch: int, rounds: int, tag: str = "first"
) -> list[float]:
    """Seconds until the first delta, for prompts that arrive at once and that the engine has not seen."""
    seconds = []
    for number in range(rounds):
        names = [f"{tag}-{number}-{index}" for index in range(batch)]
        start = time.perf_counter()
        for index, name in enumerate(names):
            # The number stands at the beginning, so that no prompt is remembered from another.
            engine.submit(_request(name, f"{tag} {number} {index}: {PROMPT.format(number=number)}", 4))
        clock.wait_for_ends(names)
        seconds += [clock.times[name][0] - start for name in names]
    return seconds


def gaps(engine: TransformersEngine, clock: Clock, *, streams: int, prompt_tokens: int) -> tuple[float, float]:
    """The 95th percentile of the streams' gaps, alone and while a long prompt is read."""
    names = [f"stream-{prompt_tokens}-{index}" for index in range(streams)]
    for index, name in enumerate(names):
        engine.submit(_request(name, PROMPT.format(number=index), 400))
    for name in names:
        clock.wait_for_deltas(name, 40)
    alone_until = time.perf_counter()
    engine.submit(_request("long", "sea " * prompt_tokens, 1))
    clock.wait_for_ends(["long"])
    read_at = time.perf_counter()
    for name in names:
        engine.cancel(name)
    clock.wait_for_ends(names)
    alone = [gap for name in names for gap in _gaps(clock.times[name][8:], 0, alone_until)]
    beside = [gap for name in names for gap in _gaps(clock.times[name], alone_until, read_at)]
    return percentile(alone, 95), percentile(beside, 95)


def _gaps(times: Sequence[float], start: float, end: float) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times) if start <= after <= end]


def percentile(values: Sequence[float], percent: int) -> float:
    """The inclusive percentile of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def as_markdown(result: Mapping[str, float]) -> str:
    """A table for people."""
    rows = [
        ("first token, p50", f"{result['first_token_p50_s']:.3f} s", ""),
        ("first token, p95", f"{result['first_token_p95_s']:.3f} s", f"{result['first_token_limit_s']} s"),
        ("gap between tokens, p95", f"{result['gap_p95_alone_s']:.4f} s", ""),
        ("the same while a long prompt is read", f"{result['gap_p95_while_reading_s']:.4f} s", ""),
        ("ratio of the gaps", f"{result['gap_ratio']:.2f}", f"{result['gap_ratio_limit']:g}"),
    ]
    lines = ["| | measured | limit |", "|---|--:|--:|"]
    return "\n".join([*lines, *(f"| {name} | {value} | {limit} |" for name, value, limit in rows)])


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder(), help="a prepared safetensors folder")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt-tokens", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    clock = Clock()
    engine = load_engine(options.folder, listener=clock, threads=options.threads)
    first_tokens(engine, clock, batch=options.batch, rounds=1, tag="warm")
    first = first_tokens(engine, clock, batch=options.batch, rounds=options.rounds)
    alone, beside = gaps(engine, clock, streams=options.batch - 1, prompt_tokens=options.prompt_tokens)
    engine.close(0)
    result = {
        "first_token_p50_s": round(statistics.median(first), 3),
        "first_token_p95_s": round(percentile(first, 95), 3),
        "first_token_limit_s": FIRST_TOKEN_LIMIT_S,
        "gap_p95_alone_s": round(alone, 4),
        "gap_p95_while_reading_s": round(beside, 4),
        "gap_ratio": round(beside / alone, 2),
        "gap_ratio_limit": GAP_LIMIT,
    }
    sys.stdout.write((json.dumps(result, indent=2) if options.json else as_markdown(result)) + "\n")


if __name__ == "__main__":
    main()
