"""What a number format costs in quality: perplexity, and divergence from float32, on a fixed text.

    python -m benchmarks.engine_quality [FOLDER] [--json]

Every position's distribution, written token by token as the engine does, beside a plain float32 pass of the model:
mean Kullback-Leibler divergence in nats, and how often both find the same token most probable.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import inference  # noqa: F401 - sets how torch's threads wait, before torch is loaded

# isort: split
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks._weights import default_folder
from inference.batch_forward import BatchForward
from inference.forward_choice import ROUNDINGS, choose_forward, choose_rounded_forward
from inference.key_value_slots import KeyValueSlots
from inference.step_plan import Span

TEXTS = (
    (
        "A steelyard is a balance with arms of unequal length. The thing to be weighed hangs from the "
        "short arm, and a small weight slides along the long arm until both sides are level; the place "
        "where it rests tells the weight. The Romans used it in their markets, and it still serves "
        "where no electricity is at hand."
    ),
    (
        "def fibonacci(count):\n"
        "    numbers = [0, 1]\n"
        "    while len(numbers) < count:\n"
        "        numbers.append(numbers[-1] + numbers[-2])\n"
        "    return numbers[:count]\n"
        "\n"
        "\n"
        "if __name__ == '__main__':\n"
        "    print(fibonacci(10))\n"
    ),
    (
        "Photosynthesis turns light into chemical energy. Plants take in carbon dioxide and water, and "
        "give off oxygen. Almost all life on Earth depends on it, either directly, as plants do, or "
        "through what they eat."
    ),
    (
        "The keeper of the lighthouse climbed the stairs every evening at dusk. He had counted them "
        "often: one hundred and ninety-two steps, worn hollow in the middle by the feet of those who "
        "had kept the light before him."
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One variant against float32."""

    variant: str
    perplexity: float
    mean_kl: float
    same_best: float


def plain_logits(model: Any, texts: list[list[int]]) -> list[Tensor]:
    """Logits of every position but the last, by one pass of the transformers model per text."""
    return [model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, :-1].float() for tokens in texts]


def written_logits(forward: BatchForward, slots: KeyValueSlots, texts: list[list[int]]) -> list[Tensor]:
    """The same by steps of one token for all texts together."""
    places = [slots.take(len(tokens)) for tokens in texts]
    rows: list[list[Tensor]] = [[] for _ in texts]
    for at in range(max(map(len, texts)) - 1):
        running = [index for index, tokens in enumerate(texts) if at < len(tokens) - 1]
        spans = [Span(place, at, texts[index][at : at + 1]) for index in running if (place := places[index])]
        for index, logits in zip(running, forward.logits(spans), strict=True):
            rows[index].append(logits.float())
    return [torch.stack(each) for each in rows]


def compare(variant: str, found: list[Tensor], reference: list[Tensor], texts: list[list[int]]) -> Row:
    """Average over all positions of all texts."""
    mine, exact = torch.log_softmax(torch.cat(found), -1), torch.log_softmax(torch.cat(reference), -1)
    targets = torch.tensor([token for tokens in texts for token in tokens[1:]])
    loss = -float(mine.gather(1, targets[:, None]).mean())
    divergence = float((exact.exp() * (exact - mine)).sum(-1).mean())
    same = float((mine.argmax(-1) == exact.argmax(-1)).float().mean())
    return Row(variant, math.exp(loss), divergence, same)


@torch.inference_mode()
def measure(folder: Path) -> list[Row]:
    """All variants; float32 is the reference and comes first."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    texts = [tokenizer(text)["input_ids"] for text in TEXTS]

    def load(dtype: torch.dtype) -> Any:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)

    reference = plain_logits(load(torch.float32), texts)
    rows = [compare("transformers float32", reference, reference, texts)]
    rows.append(compare("transformers bfloat16", plain_logits(load(torch.bfloat16), texts), reference, texts))
    for name in ("bfloat16", *ROUNDINGS):
        slots = KeyValueSlots(budget=4_096, longest=1_024)
        model = load(torch.bfloat16)
        forward = choose_rounded_forward(model, slots, name) if name in ROUNDINGS else choose_forward(model, slots)
        rows.append(compare(f"engine {name} ({forward.name})", written_logits(forward, slots, texts), reference, texts))
    return rows


def as_markdown(rows: list[Row]) -> str:
    """A table for people."""
    lines = ["| variant | perplexity | mean KL from float32 | same best token |", "|---|--:|--:|--:|"]
    lines += [f"| {row.variant} | {row.perplexity:.3f} | {row.mean_kl:.5f} | {row.same_best:.1%} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder(), help="a prepared safetensors folder")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args()
    rows = measure(options.folder)
    sys.stdout.write(
        (json.dumps([asdict(row) for row in rows], indent=2) if options.json else as_markdown(rows)) + "\n"
    )


if __name__ == "__main__":
    main()
