"""What a number format costs, or an adapter changes: perplexity, and divergence from float32, on a fixed text.

Every position's distribution, written token by token as the engine does, beside a plain float32 pass of the model.
Each figure has its 95 % interval over the text's tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from inference.adapter_facts import short_base_name
from inference.adapter_folder import read_adapter_folder
from inference.adapters import AdapterBank
from inference.batch_forward import BatchForward
from inference.compute_threads import computing
from inference.forward_choice import ROUNDINGS, choose_forward, choose_rounded_forward
from inference.key_value_slots import KeyValueSlots
from inference.model_loading import load_model, load_tokenizer
from inference.step_plan import Span
from inference.weight_folder import read_weight_folder

TEXTS: Final = (
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
Z_95: Final = 1.959964
PLAIN_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """A number format against float32, over `tokens` predicted tokens.

    perplexity: of the text. reference_perplexity: of float32's. mean_kl: divergence from float32's distributions, in
    nats. same_best: how often both find the same token most probable.
    """

    tokens: int
    perplexity: Estimate
    reference_perplexity: float
    mean_kl: Estimate
    same_best: Estimate


@computing()
@torch.inference_mode()
def measure_quality(
    folder: Path,
    dtype: str,
    *,
    threads: int,
    adapter: Path | None = None,
    on_progress: Callable[[float, str], None] = lambda _share, _stage: None,
) -> Quality:
    """Measure the weights in a folder as the engine runs them in `dtype`, beside float32.

    With an adapter's folder they run under it, beside float32 without it. Takes memory for a float32 copy and the
    variant's own. Raises WeightsRefused, NoSuchVariant, and MemoryError.
    """
    torch.set_num_threads(threads)
    checked = read_weight_folder(folder)
    tokenizer = load_tokenizer(checked)
    texts = [tokenizer(text)["input_ids"] for text in TEXTS]
    on_progress(0.0, "loading float32")
    reference = plain_logits(load_plain(checked.path, torch.float32), texts)
    on_progress(0.4, f"loading {dtype}")
    forward, slots = variant_forward(checked.path, dtype, adapter)
    on_progress(0.7, f"reading the text in {dtype}")
    found = written_logits(forward, slots, texts, adapter.name if adapter else None)
    forward.clear()
    return compare(found, reference, texts)


def load_plain(folder: Path, dtype: torch.dtype) -> Any:
    """transformers' own model. Raises WeightsRefused."""
    return load_model(read_weight_folder(folder), dtype)


def variant_forward(folder: Path, dtype: str, adapter: Path | None = None) -> tuple[BatchForward, KeyValueSlots]:
    """The engine's way of computing a variant, and its slots; an adapter is attached under its folder's name."""
    slots = KeyValueSlots(budget=4_096, longest=1_024)
    model = load_plain(folder, PLAIN_DTYPES.get(dtype, torch.bfloat16))
    forward = choose_rounded_forward(model, slots, dtype) if dtype in ROUNDINGS else choose_forward(model, slots)
    if adapter is not None:
        bank = AdapterBank(model)
        forward.adapt(bank)
        bank.attach(adapter.name, read_adapter_folder(adapter, base_name=short_base_name(adapter)))
    return forward, slots


def plain_logits(model: Any, texts: list[list[int]]) -> list[Tensor]:
    """Logits of every position but the last, by one pass of the transformers model per text."""
    return [model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, :-1].float() for tokens in texts]


def written_logits(
    forward: BatchForward, slots: KeyValueSlots, texts: list[list[int]], adapter: str | None = None
) -> list[Tensor]:
    """The same by steps of one token for all texts together."""
    places = [slots.take(len(tokens)) for tokens in texts]
    rows: list[list[Tensor]] = [[] for _ in texts]
    for at in range(max(map(len, texts)) - 1):
        running = [index for index, tokens in enumerate(texts) if at < len(tokens) - 1]
        spans = [Span(place, at, texts[index][at : at + 1], adapter) for index in running if (place := places[index])]
        for index, logits in zip(running, forward.logits(spans), strict=True):
            rows[index].append(logits.float())
    return [torch.stack(each) for each in rows]


def compare(found: list[Tensor], reference: list[Tensor], texts: list[list[int]]) -> Quality:
    """Over all positions of all texts."""
    mine, exact = torch.log_softmax(torch.cat(found), -1), torch.log_softmax(torch.cat(reference), -1)
    targets = torch.tensor([token for tokens in texts for token in tokens[1:]])[:, None]
    losses = -mine.gather(1, targets)[:, 0].double()
    loss = _mean(losses)
    divergences = (exact.exp() * (exact - mine)).sum(-1).double()
    matches = (mine.argmax(-1) == exact.argmax(-1)).double()
    return Quality(
        tokens=len(targets),
        perplexity=Estimate(math.exp(loss.value), math.exp(loss.low), math.exp(loss.high)),
        reference_perplexity=math.exp(-float(exact.gather(1, targets).double().mean())),
        mean_kl=_mean(divergences),
        same_best=_share(int(matches.sum()), len(matches)),
    )


def _mean(values: Tensor) -> Estimate:
    mean = float(values.mean())
    half = Z_95 * float(values.std()) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half)


def _share(count: int, total: int) -> Estimate:
    """Wilson's interval, which also holds where nearly all agree."""
    share, spread = count / total, Z_95**2 / total
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return Estimate(share, centre - half, centre + half)
