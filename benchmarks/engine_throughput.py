"""Decoding speed of the engine beside one dense `model.generate` batch, both sides in turns in the same run.

    python -m benchmarks.engine_throughput [FOLDER] [--batches 1 8 16] [--tokens 64] [--rounds 5] [--threads N]
        [--sampled] [--json]

Both sides write the same number of tokens for the same prompts in bfloat16 on the same threads, greedily and without
guessing ahead, or, with `--sampled`, at temperature 0.7 and top-p 0.9; the time until the first token is left out on
both. Medians of the rounds; only the ratios mean something on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import inference  # noqa: F401 - sets how torch's threads wait, for both sides, before torch is loaded

# isort: split
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks._weights import default_folder
from inference.compute_threads import computing
from inference.engine import Engine, GenerationRequest, Message
from inference.events import TERMINAL_EVENTS, Emission, Finished
from inference.sampling_params import SamplingParams
from inference.transformers_engine import load_engine

PROMPT = "Tell me a story about the lighthouse number {number} and the people who lived there."
GENERATE = "model.generate"
GREEDY: dict[str, Any] = {"temperature": 0}
SAMPLED: dict[str, Any] = {"temperature": 0.7, "top_p": 0.9}


@dataclass(frozen=True, slots=True)
class Row:
    """One side at one batch size: tokens per second (median, best) and the median's ratio to `model.generate`."""

    side: str
    batch: int
    median: float
    best: float
    ratio: float
    best_ratio: float


class Ends:
    """Waits for a number of finished answers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._finished: list[Finished] = []

    def __call__(self, emissions: Sequence[Emission]) -> None:
        with self._changed:
            for each in emissions:
                if isinstance(each.event, Finished):
                    self._finished.append(each.event)
                elif isinstance(each.event, TERMINAL_EVENTS):
                    sys.stderr.write(f"A run of the benchmark failed: {each.event}\n")
            self._changed.notify_all()

    def take(self, count: int) -> list[Finished]:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._finished) >= count, timeout=600):
                raise TimeoutError("the engine did not finish within ten minutes")
            taken, self._finished = self._finished, []
            return taken


def engine_speed(engine: Engine, ends: Ends, batch: int, tokens: int, *, sampled: bool = False) -> float:
    """Tokens per second from the moment that the last prompt was read."""
    for number in range(batch):
        values = SAMPLED | {"seed": number} if sampled else GREEDY
        params = SamplingParams(max_tokens=tokens, min_tokens=tokens, **values)
        messages = (Message("user", PROMPT.format(number=number)),)
        engine.submit(GenerationRequest(request_id=f"r{number}", messages=messages, params=params))
    finished = ends.take(batch)
    return batch * (tokens - 1) / max(each.timings.decode_s for each in finished)


@computing()
def generate_speed(model: Any, tokenizer: Any, batch: int, tokens: int, *, sampled: bool = False) -> float:
    """The same of one dense batch; the time of a run for a single token is taken off."""
    chats = [[{"role": "user", "content": PROMPT.format(number=number)}] for number in range(batch)]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
    )

    how: dict[str, Any] = {"do_sample": True, "top_k": 0, **SAMPLED} if sampled else {"do_sample": False}

    def seconds(count: int) -> float:
        start = time.perf_counter()
        model.generate(**inputs, **how, max_new_tokens=count, min_new_tokens=count)
        return time.perf_counter() - start

    return batch * (tokens - 1) / (seconds(tokens) - seconds(1))


def measure(
    folder: Path, batches: Sequence[int], *, tokens: int, rounds: int, threads: int, sampled: bool = False
) -> list[Row]:
    """Run all sides in turns and compare."""
    torch.set_num_threads(threads)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    engines = {}
    sides: dict[str, Callable[[int], float]] = {
        GENERATE: lambda batch: generate_speed(model, tokenizer, batch, tokens, sampled=sampled)
    }
    for dtype in ("bfloat16", "int8", "int4"):
        ends = Ends()
        engine = load_engine(
            folder, listener=ends, dtype=dtype, threads=threads, max_batch=max(batches), guesses_ahead=False
        )
        engines[dtype] = engine
        name = f"engine {dtype} ({engine.provenance()['forward']})"
        sides[name] = lambda batch, engine=engine, ends=ends: engine_speed(  # type: ignore[misc]
            engine, ends, batch, tokens, sampled=sampled
        )
    rows = []
    for batch in batches:
        speeds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(rounds + 1):
            for side, speed in sides.items():
                measured = speed(batch)
                if number:  # the first round warms up
                    speeds[side].append(measured)
        median = {side: statistics.median(values) for side, values in speeds.items()}
        best = {side: max(values) for side, values in speeds.items()}
        rows += [
            Row(side, batch, median[side], best[side], median[side] / median[GENERATE], best[side] / best[GENERATE])
            for side in sides
        ]
        sys.stderr.write(f"batch {batch} is measured\n")
    for engine in engines.values():
        engine.close(0)
    return rows


def as_markdown(rows: Sequence[Row]) -> str:
    """A table for people."""
    lines = ["| side | batch | tok/s, median | tok/s, best | ratio | ratio of the best |", "|---|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {row.side} | {row.batch} | {row.median:.0f} | {row.best:.0f} | {row.ratio:.2f} | {row.best_ratio:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder(), help="a prepared safetensors folder")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--tokens", type=int, default=64, help="new tokens per answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sampled", action="store_true", help="sample instead of taking the best token")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    rows = measure(
        options.folder,
        options.batches,
        tokens=options.tokens,
        rounds=options.rounds,
        threads=options.threads,
        sampled=options.sampled,
    )
    if not options.json:
        sys.stdout.write(as_markdown(rows) + "\n")
        return
    facts: dict[str, object] = {name: getattr(options, name) for name in ("tokens", "rounds", "threads", "sampled")}
    facts |= {name: version(name) for name in ("torch", "transformers")} | {"python": platform.python_version()}
    sys.stdout.write(json.dumps({"facts": facts, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
