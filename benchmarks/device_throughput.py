"""The engine on an accelerator beside plain transformers there: whole answers, all sides in turns in one run.

    python -m benchmarks.device_throughput [FOLDER] [--device cuda] [--batches 1 8 16 64] [--tokens 128]
        [--rounds 5] [--json]

All sides greedily write the same number of tokens for the same prompts in bfloat16; the clock runs from handing the
prompts over until the last answer has ended. The sides: one dense `model.generate` batch, and our engine on
transformers' continuous batching with our sampler and a log-probability for every token. Medians of the rounds; `ratio`
is to the dense batch.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import inference  # noqa: F401 - sets how torch's threads wait, before torch is loaded

# isort: split
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks._weights import default_folder
from benchmarks.engine_throughput import GENERATE, PROMPT, Ends, Row, as_markdown
from inference.continuous_batching_engine import load_continuous_batching_engine
from inference.engine import Engine, GenerationRequest, Message
from inference.sampling_params import SamplingParams

Answer = Callable[[int], None]  # writes a number of answers, and returns when the last has ended


def dense(model: Any, tokenizer: Any, tokens: int) -> Answer:
    """One `model.generate` call for all."""

    def answer(batch: int) -> None:
        inputs = tokenizer.apply_chat_template(
            _chats(batch), add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        ).to(model.device)
        model.generate(**inputs, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens).cpu()

    return answer


def ours(engine: Engine, ends: Ends, tokens: int) -> Answer:
    """Our engine, which stays started between calls as in a worker."""
    params = SamplingParams(temperature=0, max_tokens=tokens, min_tokens=tokens)

    def answer(batch: int) -> None:
        for number, chat in enumerate(_chats(batch)):
            messages = tuple(Message(each["role"], each["content"]) for each in chat)
            engine.submit(GenerationRequest(request_id=f"r{number}", messages=messages, params=params))
        ends.take(batch)

    return answer


def _chats(batch: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": PROMPT.format(number=number)}] for number in range(batch)]


def measure(folder: Path, device: str, batches: Sequence[int], *, tokens: int, rounds: int) -> list[Row]:
    """Run all sides in turns and compare."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
    load: Any = AutoModelForCausalLM.from_pretrained
    ends = Ends()
    engine = load_continuous_batching_engine(
        folder, listener=ends, device=device, max_batch=max(batches), kv_budget_tokens=max(batches) * 1_024
    )
    sides = {
        GENERATE: dense(load(folder, dtype=torch.bfloat16).to(device), tokenizer, tokens),
        f"engine ({engine.provenance()['forward']})": ours(engine, ends, tokens),
    }
    rows = []
    for batch in batches:
        speeds: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(rounds + 1):
            for side, answer in sides.items():
                began = time.perf_counter()
                answer(batch)
                if number:  # the first round warms up
                    speeds[side].append(batch * tokens / (time.perf_counter() - began))
        median = {side: statistics.median(values) for side, values in speeds.items()}
        best = {side: max(values) for side, values in speeds.items()}
        rows += [
            Row(side, batch, median[side], best[side], median[side] / median[GENERATE], best[side] / best[GENERATE])
            for side in sides
        ]
        sys.stderr.write(f"batch {batch} is measured\n")
    engine.close(0)
    return rows


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder(), help="a prepared safetensors folder")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16, 64])
    parser.add_argument("--tokens", type=int, default=128, help="new tokens per answer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="JSON instead of the table")
    args = parser.parse_args()
    rows = measure(args.folder, args.device, args.batches, tokens=args.tokens, rounds=args.rounds)
    libraries = {name: version(name) for name in ("torch", "transformers")}
    name = torch.cuda.get_device_name() if args.device.startswith("cuda") else platform.processor()
    if args.json:
        report = {"tokens": args.tokens, "device": name, "rows": [asdict(row) for row in rows]} | libraries
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(f"{name}, {libraries}, {args.tokens} tokens\n\n{as_markdown(rows)}\n")


if __name__ == "__main__":
    main()
