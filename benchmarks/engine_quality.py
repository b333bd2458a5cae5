"""What a number format costs in quality: perplexity, and divergence from float32, on a fixed text.

    python -m benchmarks.engine_quality [FOLDER] [--json]

Every position's distribution, written token by token as the engine does, beside a plain float32 pass of the model:
mean Kullback-Leibler divergence in nats, and how often both find the same token most probable.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import inference  # noqa: F401 - sets how torch's threads wait, before torch is loaded

# isort: split
import torch
from transformers import AutoTokenizer

from benchmarks._weights import default_folder
from inference.forward_choice import ROUNDINGS
from inference.quality import TEXTS, Quality, compare, load_plain, plain_logits, variant_forward, written_logits


@dataclass(frozen=True, slots=True)
class Row:
    """One variant against float32."""

    variant: str
    quality: Quality


@torch.inference_mode()
def measure(folder: Path) -> list[Row]:
    """All variants; float32 is the reference and comes first."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    texts = [tokenizer(text)["input_ids"] for text in TEXTS]
    reference = plain_logits(load_plain(folder, torch.float32), texts)
    rows = [Row("transformers float32", compare(reference, reference, texts))]
    plain = plain_logits(load_plain(folder, torch.bfloat16), texts)
    rows.append(Row("transformers bfloat16", compare(plain, reference, texts)))
    for name in ("bfloat16", *ROUNDINGS):
        forward, slots = variant_forward(folder, name)
        found = written_logits(forward, slots, texts)
        rows.append(Row(f"engine {name} ({forward.name})", compare(found, reference, texts)))
    return rows


def as_markdown(rows: list[Row]) -> str:
    """A table for people."""
    lines = ["| variant | perplexity | mean KL from float32 | same best token |", "|---|--:|--:|--:|"]
    for row in rows:
        found = row.quality
        figures = f"{found.perplexity.value:.3f} | {found.mean_kl.value:.5f} | {found.same_best.value:.1%}"
        lines.append(f"| {row.variant} | {figures} |")
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
