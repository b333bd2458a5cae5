"""Trains the adapter that comes along: SmolLM2 answering in one sentence, after minutes with 32 pairs.

    python -m benchmarks.train_brief_adapter [FOLDER] [--out FOLDER]
    python -m benchmarks.train_brief_adapter --compare

It is there to show adapters at work, with every step open to be looked at. `--compare` trains nothing: it asks what
the training has not seen, greedily, with the adapter and without, and counts the words of both.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks._weights import default_folder
from benchmarks.brief_answers import PAIRS, UNSEEN

SHIPPED: Final = Path(__file__).resolve().parents[1] / "portal" / "catalog" / "seed_adapters" / "brief"
BASE: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
CONFIG_KEPT: Final = (
    "peft_type", "peft_version", "task_type", "base_model_name_or_path", "r", "lora_alpha", "target_modules", "bias",
    "inference_mode", "init_lora_weights",
)  # fmt: skip
RANK, ALPHA, TARGETS = 4, 8, ["q_proj", "v_proj"]
EPOCHS, BATCH, LEARNING_RATE, SEED = 4, 4, 3e-3, 20


def train(folder: Path, out: Path) -> None:
    """The adapter's two files, in peft's form."""
    torch.manual_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, task_type="CAUSAL_LM"),
    )
    examples = [_example(tokenizer, question, answer) for question, answer in PAIRS]
    optimiser = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=LEARNING_RATE)
    steps = EPOCHS * len(examples) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    order = random.Random(SEED)
    for epoch in range(EPOCHS):
        losses = []
        shuffled = order.sample(examples, len(examples))
        for start in range(0, len(shuffled), BATCH):
            loss = model(**_padded(shuffled[start : start + BATCH], tokenizer.pad_token_id)).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
            losses.append(loss.item())
            print(f"loss {losses[-1]:.3f}", flush=True)
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {statistics.mean(losses):.3f}", flush=True)
    _save(model, out)


def _example(tokenizer: Any, question: str, answer: str) -> tuple[list[int], int]:
    """The tokens of a whole turn, and how many of them are the question's, on which nothing is learned."""
    asked = [{"role": "user", "content": question}]
    told = [*asked, {"role": "assistant", "content": answer}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    return tokenizer.apply_chat_template(told, return_dict=False), len(prompt)


def _padded(batch: list[tuple[list[int], int]], pad: int) -> dict[str, torch.Tensor]:
    longest = max(len(tokens) for tokens, _ in batch)
    rows, masks, labels = [], [], []
    for tokens, asked in batch:
        missing = longest - len(tokens)
        rows.append(tokens + [pad] * missing)
        masks.append([1] * len(tokens) + [0] * missing)
        labels.append([-100] * asked + tokens[asked:] + [-100] * missing)
    return {
        "input_ids": torch.tensor(rows),
        "attention_mask": torch.tensor(masks),
        "labels": torch.tensor(labels),
    }


def _save(model: Any, out: Path) -> None:
    model.peft_config["default"].base_model_name_or_path = BASE
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)  # peft's outline with nothing filled in
    path = out / "adapter_model.safetensors"
    # Half the size; the engine computes in bfloat16 anyway.
    save_file({name: each.to(torch.bfloat16) for name, each in load_file(path).items()}, path, {"format": "pt"})
    config = json.loads((out / "adapter_config.json").read_text())
    # The rest are peft's defaults for other kinds of adapters and of runs.
    kept = {name: config[name] for name in CONFIG_KEPT}
    (out / "adapter_config.json").write_text(json.dumps(kept, indent=2) + "\n")
    print(f"{path.stat().st_size:,} bytes in {path.name}")


@torch.inference_mode()
def compare(folder: Path, adapter: Path) -> None:
    """Answers to questions that were not trained on, without and with the adapter."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter)
    counts: dict[str, list[int]] = {"without": [], "with": []}
    for question in UNSEEN:
        print(f"\n{question}")
        with model.disable_adapter():
            counts["without"].append(_answer(model, tokenizer, question, "without"))
        counts["with"].append(_answer(model, tokenizer, question, "with"))
    for name, words in counts.items():
        print(f"{name}: median {statistics.median(words)} words, {min(words)} to {max(words)} (n = {len(words)})")


def _answer(model: Any, tokenizer: Any, question: str, name: str) -> int:
    asked = [{"role": "user", "content": question}]
    inputs = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=200, do_sample=False)
    text = tokenizer.decode(output[0][inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    print(f"  {name}: {text[:200]}")
    return len(text.split())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=default_folder(), help="the base's weights")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--compare", action="store_true", help="only compare answers with and without it")
    options = parser.parse_args()
    if not options.compare:
        train(options.folder, options.out)
    compare(options.folder, options.out)


if __name__ == "__main__":
    main()
