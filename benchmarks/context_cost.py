"""What one more token costs against how much stands before it, and the memory of it beside what was foretold.

    python -m benchmarks.context_cost [FOLDER] [--contexts 120 … 7680] [--batches 1 4] [--tokens 12] [--rounds 3]
        [--threads N] [--memory]

Milliseconds per step of decoding at each context, for one dense `model.generate` batch in bfloat16 and our engine in
bfloat16 and int8, in turns in the same run; medians of the rounds. Below, each side as a line over the context, and the
greatest ratio from one context to its double: at most 2 is at most linear. `--memory` loads an engine in a process of
its own for a short and a long context instead, and compares the peak.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import inference  # noqa: F401 - sets how torch's threads wait, before torch is loaded

# isort: split
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from benchmarks._weights import default_folder
from benchmarks.engine_throughput import GENERATE, Ends
from inference.compute_threads import computing
from inference.engine import GenerationRequest, Message
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, estimate_memory, load_engine

CONTEXTS: Final = (120, 240, 480, 960, 1_920, 3_840, 7_680)
TEXT: Final = "The keeper of the lighthouse counted the ships on the sea and wrote the weather into his book. "
MEBIBYTE: Final = 2**20
# Of keys and values: what an engine with rounded weights needs to try them on tokens when it is loaded.
LEAST_BUDGET: Final = 1_024


def text_of(tokenizer: Any, tokens: int) -> str:
    """A text of about so many tokens, whose beginning is the shorter texts."""
    ids = tokenizer(TEXT * (tokens // 15), verbose=False)["input_ids"][:tokens]
    return str(tokenizer.decode(ids))


class EngineSide:
    """Steps of the engine; the longest context is read once, the others are remembered beginnings of it."""

    def __init__(self, folder: Path, tokenizer: Any, dtype: str, *, threads: int, longest: int, batch: int) -> None:
        self._ends = Ends()
        self._tokenizer = tokenizer
        self.engine: TransformersEngine = load_engine(
            folder,
            listener=self._ends,
            dtype=dtype,
            threads=threads,
            max_batch=batch,
            kv_budget_tokens=(batch + 1) * 8_192,
            guesses_ahead=False,
        )
        self.step_ms(longest, 1, 1)

    def step_ms(self, context: int, batch: int, tokens: int) -> float:
        params = SamplingParams(temperature=0, max_tokens=tokens, min_tokens=tokens)
        text = text_of(self._tokenizer, context)
        for number in range(batch):
            messages = (Message("user", text),)
            self.engine.submit(
                GenerationRequest(request_id=f"r{number}", messages=messages, params=params, completion=True)
            )
        finished = self._ends.take(batch)
        return 1_000 * max(each.timings.decode_s for each in finished) / max(1, tokens - 1)


class GenerateSide:
    """Steps of transformers on one dense batch, each from a copy of the longest context's keys and values."""

    def __init__(self, folder: Path, tokenizer: Any, *, longest: int) -> None:
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self._ids = tokenizer(text_of(tokenizer, longest), return_tensors="pt")["input_ids"]
        self._whole = DynamicCache()
        with torch.inference_mode():
            for piece in self._ids[:, :-1].split(512, dim=1):
                self._model(input_ids=piece, past_key_values=self._whole, logits_to_keep=1)

    def step_ms(self, context: int, batch: int, tokens: int) -> float:
        return 1_000 * (self._seconds(context, batch, tokens) - self._seconds(context, batch, 1)) / (tokens - 1)

    @computing()
    @torch.inference_mode()
    def _seconds(self, context: int, batch: int, tokens: int) -> float:
        ids = self._ids[:, :context].expand(batch, -1)
        known = ids.shape[1] - 1
        cache = DynamicCache()
        for number, layer in enumerate(self._whole.layers):
            parts = (part[:, :, :known].repeat(batch, 1, 1, 1) for part in (layer.keys, layer.values))
            cache.update(*parts, number)
        options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "pad_token_id": 0}
        start = time.perf_counter()
        self._model.generate(ids, attention_mask=torch.ones_like(ids), past_key_values=cache, **options)
        return time.perf_counter() - start


def measure(
    folder: Path, contexts: Sequence[int], batches: Sequence[int], *, tokens: int, rounds: int, threads: int
) -> dict[int, dict[str, dict[int, float]]]:
    """Milliseconds per step by batch, side and context."""
    torch.set_num_threads(threads)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    generate = GenerateSide(folder, tokenizer, longest=max(contexts))
    sides: dict[str, Callable[[int, int, int], float]] = {GENERATE: generate.step_ms}
    engines = []
    for dtype in ("bfloat16", "int8"):
        side = EngineSide(folder, tokenizer, dtype, threads=threads, longest=max(contexts), batch=max(batches))
        engines.append(side.engine)
        sides[f"engine {dtype}"] = side.step_ms
    found: dict[int, dict[str, dict[int, float]]] = {}
    for batch in batches:
        found[batch] = {side: {} for side in sides}
        for context in contexts:
            steps: dict[str, list[float]] = {side: [] for side in sides}
            for number, (name, step_ms) in itertools.product(range(rounds + 1), sides.items()):
                once = step_ms(context, batch, tokens)
                if number:  # the first round warms up
                    steps[name].append(once)
            for name, values in steps.items():
                found[batch][name][context] = statistics.median(values)
            sys.stderr.write(f"batch {batch} at {context} is measured\n")
    for engine in engines:
        engine.close(0)
    return found


def as_markdown(found: Mapping[int, Mapping[str, Mapping[int, float]]]) -> str:
    """Tables for people."""
    lines = []
    for batch, sides in found.items():
        contexts = list(next(iter(sides.values())))
        lines += [f"| ms per step, batch {batch} | " + " | ".join(f"{each:,}" for each in contexts) + " |"]
        lines += ["|---|" + "--:|" * len(contexts)]
        lines += [
            f"| {side} | " + " | ".join(f"{ms:.1f}" for ms in steps.values()) + " |" for side, steps in sides.items()
        ]
        lines += [
            "",
            "| side | at no context | for each 1,000 tokens | greatest ratio per doubling |",
            "|---|--:|--:|--:|",
        ]
        for side, steps in sides.items():
            slope, start = statistics.linear_regression(list(steps), list(steps.values()))
            doubled = [steps[2 * each] / ms for each, ms in steps.items() if 2 * each in steps]
            lines += [f"| {side} | {start:.1f} ms | {1_000 * slope:.2f} ms | {max(doubled, default=0):.2f} |"]
        lines += [""]
    return "\n".join(lines)


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def memory_of(folder: Path, dtype: str, context: int) -> dict[str, int]:
    """The foretold and the measured peak in bytes of an engine that answers once at that context; in this process."""
    before = _resident("VmRSS")
    budget = max(context, LEAST_BUDGET)
    need = estimate_memory(folder, dtype=dtype, max_batch=1, kv_budget_tokens=budget)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    text, ends = text_of(tokenizer, context - 32), Ends()
    del tokenizer
    engine = load_engine(folder, listener=ends, dtype=dtype, max_batch=1, kv_budget_tokens=budget, threads=2)
    params = SamplingParams(temperature=0, max_tokens=16)
    messages = (Message("user", text),)
    engine.submit(GenerationRequest(request_id="r", messages=messages, params=params, completion=True))
    ends.take(1)
    peak = _resident("VmHWM") - before
    engine.close(0)
    return {"foretold": need.peak, "measured": peak}


def memory_table(folder: Path, contexts: Sequence[int]) -> str:
    """Each row from a process of its own."""
    lines = ["| dtype | context | foretold peak, MiB | measured |", "|---|--:|--:|--:|"]
    for dtype, context in itertools.product(("bfloat16", "int8"), contexts):
        command = [sys.executable, "-m", "benchmarks.context_cost", str(folder), "--memory-of", dtype, str(context)]
        peaks = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        foretold, measured = (peaks[name] // MEBIBYTE for name in ("foretold", "measured"))
        lines.append(f"| {dtype} | {context:,} | {foretold:,} | {measured:,} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder(), help="a prepared safetensors folder")
    parser.add_argument("--contexts", type=int, nargs="+", default=CONTEXTS)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--tokens", type=int, default=12, help="new tokens per answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", action="store_true", help="measure the memory instead")
    parser.add_argument("--memory-of", nargs=2, metavar=("DTYPE", "CONTEXT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        dtype, context = options.memory_of
        sys.stdout.write(json.dumps(memory_of(options.folder, dtype, int(context))) + "\n")
    elif options.memory:
        sys.stdout.write(memory_table(options.folder, (min(options.contexts), max(options.contexts))) + "\n")
    else:
        found = measure(
            options.folder,
            sorted(options.contexts),
            options.batches,
            tokens=options.tokens,
            rounds=options.rounds,
            threads=options.threads,
        )
        sys.stdout.write(as_markdown(found))


if __name__ == "__main__":
    main()
