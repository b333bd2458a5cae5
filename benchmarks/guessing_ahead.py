"""What guessing tokens ahead is worth: one greedy answer at a time, with and without, in turns in the same run.

    python -m benchmarks.guessing_ahead [FOLDER] [--dtypes bfloat16 int8 int4] [--tokens 128] [--rounds 3] [--threads N]

Ordinary questions repeat little; the other prompts ask for a text, JSON or code again with something changed. Tokens
per second of each group's answers together, from each one's first token on; medians of the rounds, and their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import inference  # noqa: F401 - sets how torch's threads wait, before torch is loaded

# isort: split
import torch
from transformers import AutoTokenizer

from benchmarks._weights import default_folder
from benchmarks.engine_throughput import Ends
from inference.engine import GenerationRequest, Message
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine

TEXT: Final = (
    "The keeper of the lighthouse rose before dawn, trimmed the lamp and wrote the weather into his book. At noon a "
    "fishing boat came in with a torn sail, and he lent its crew a needle and a roll of canvas. In the evening he "
    "climbed the stairs again, counted the ships on the horizon and lit the lamp for the night."
)
RECORDS: Final = """[
  {"name": "Ada", "city": "London", "age": 36, "active": true},
  {"name": "Grace", "city": "New York", "age": 45, "active": true},
  {"name": "Alan", "city": "Manchester", "age": 41, "active": false},
  {"name": "Edsger", "city": "Rotterdam", "age": 50, "active": true}
]"""
CODE: Final = '''def mean(values):
    """The arithmetic mean of a list of numbers."""
    total = 0
    for value in values:
        total = total + value
    return total / len(values)


def variance(values):
    """The variance of a list of numbers."""
    centre = mean(values)
    total = 0
    for value in values:
        total = total + (value - centre) ** 2
    return total / len(values)'''
# What is asked for, and how the answer is made to begin: so small a model would rather talk about the task.
GROUPS: Final = {
    "ordinary questions": (
        ("Tell me a story about a lighthouse and the people who lived there.", ""),
        ("Explain why the sky is blue to a child of ten years.", ""),
        ("What are the advantages and disadvantages of living in a large city?", ""),
        ("Write a letter to a friend about a journey to the mountains.", ""),
    ),
    "a text again": (
        (f"Repeat this text word for word:\n\n{TEXT}", ""),
        (f"Repeat this text, but write 'lantern' where it says 'lamp':\n\n{TEXT}", ""),
    ),
    "JSON again": ((f'Repeat this JSON, with "age" renamed to "years":\n\n{RECORDS}', RECORDS[:21]),),
    "code again": (
        (f"Repeat this code, with the name `values` changed to `numbers`:\n\n{CODE}", "def mean(numbers):\n"),
    ),
}


def speed(engine: TransformersEngine, ends: Ends, prompts: Sequence[tuple[str, tuple[int, ...]]], tokens: int) -> float:
    """Tokens per second of decoding, one answer after the other."""
    written, seconds = 0, 0.0
    params = SamplingParams(temperature=0, max_tokens=tokens)
    for prompt, beginning in prompts:
        # Both sides read the whole prompt anew, since what is remembered may round differently.
        request = GenerationRequest(
            request_id="r",
            messages=(Message("user", prompt),),
            params=params,
            reuse_prefix=False,
            answer_prefix=beginning,
        )
        engine.submit(request)
        (finished,) = ends.take(1)
        written += finished.usage.completion_tokens - len(beginning) - 1
        seconds += finished.timings.decode_s
    return written / seconds


def measure(folder: Path, dtype: str, *, tokens: int, rounds: int, threads: int) -> list[str]:
    """A dtype's rows of the table."""
    sides = []
    for guesses_ahead in (False, True):
        ends = Ends()
        sides.append(
            (load_engine(folder, listener=ends, dtype=dtype, threads=threads, guesses_ahead=guesses_ahead), ends)
        )
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    rows = []
    for group, texts in GROUPS.items():
        prompts = [(text, tuple(tokenizer(beginning)["input_ids"])) for text, beginning in texts]
        speeds: list[list[float]] = [[], []]
        for number in range(rounds + 1):
            for measured, (engine, ends) in zip(speeds, sides, strict=True):
                once = speed(engine, ends, prompts, tokens)
                if number:  # the first round warms up
                    measured.append(once)
        without, ahead = (statistics.median(each) for each in speeds)
        rows.append(f"| {dtype} | {group} | {without:.0f} | {ahead:.0f} | {ahead / without:.2f} |")
        sys.stderr.write(f"{rows[-1]}\n")
    for engine, _ in sides:
        engine.close(0)
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder(), help="a prepared safetensors folder")
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16", "int8", "int4"])
    parser.add_argument("--tokens", type=int, default=128, help="the most new tokens per answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    sys.stdout.write("| dtype | asked for | tok/s | tok/s guessing ahead | ratio |\n|---|---|--:|--:|--:|\n")
    for dtype in options.dtypes:
        rows = measure(options.folder, dtype, tokens=options.tokens, rounds=options.rounds, threads=options.threads)
        sys.stdout.write("\n".join(rows) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
