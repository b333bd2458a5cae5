"""Picks the fastest way of computing steps that gives this model's own logits: tried on tokens, not believed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from inference.batch_forward import BatchForward, PackedForward, SequentialForward, fits_slots
from inference.fused_decoder import MODEL_TYPES, FusedDecoder
from inference.key_value_slots import KeyValueSlots
from inference.linear_layers import Int4Linear, Int8Linear, LinearMaker, PlainLinear, bfloat16_maker
from inference.step_plan import Span

logger = logging.getLogger(__name__)

# Relative to the largest logit. Chosen, not derived: wide enough for rounding, meant to catch a wrong computation (a
# missing mask, a wrong rotation), not a slightly worse one.
TOLERANCES: Final = {torch.float32: 2e-3, torch.float16: 3e-2, torch.bfloat16: 8e-2}


@dataclass(frozen=True, slots=True)
class Rounding:
    """How a weight-only format lays out the layers and the output layer, and how far its logits may go astray."""

    layers: LinearMaker
    head: LinearMaker
    tolerance: float


# The output layer is the most sensitive one: files with 4 bits per weight keep 6 or 8 there, and so does this.
ROUNDINGS: Final = {
    "int8": Rounding(Int8Linear, Int8Linear, 0.25),
    "int4": Rounding(Int4Linear, Int8Linear, 0.5),
}


class NoSuchVariant(ValueError):
    """The weights cannot be run in the wanted form; the message says why."""


def choose_forward(model: Any, slots: KeyValueSlots, *, may_copy: bool = True) -> BatchForward:
    """The fused path where it exists, the packed path where it fits, else the sequential one.

    The fused path lays out its own copy of the weights, which `may_copy` allows.
    A path is taken only when its logits, computed in chunks and in company, agree with a plain pass of the model.
    """
    own_attention = model.config._attn_implementation  # noqa: SLF001 - transformers has no public name for it
    expected = _plain_logits(model)
    make_linear = bfloat16_maker() if model.dtype is torch.bfloat16 else PlainLinear
    candidates: list[Callable[[], BatchForward]] = []
    if fits_slots(model.config):
        candidates.append(lambda: PackedForward(model, slots))
        if may_copy and model.config.model_type in MODEL_TYPES:
            candidates.insert(0, lambda: FusedDecoder(model, slots, make_linear))
    for candidate in candidates:
        try:
            forward = candidate()
            difference = _difference(_stepwise_logits(forward, model, slots), expected)
        except Exception:
            logger.info("A faster path does not fit %s.", type(model).__name__, exc_info=True)
        else:
            if difference <= TOLERANCES[model.dtype]:
                return forward
            logger.info("The %s path differs by %.3g on %s.", forward.name, difference, type(model).__name__)
        slots.clear()
        model.set_attn_implementation(own_attention)
    return SequentialForward(model)


def choose_rounded_forward(model: Any, slots: KeyValueSlots, format_name: str) -> BatchForward:
    """The fused path on weights rounded to a format of `ROUNDINGS`.

    Raises NoSuchVariant where that path does not fit the architecture, or the format the weights.
    """
    if model.config.model_type not in MODEL_TYPES or not fits_slots(model.config):
        raise NoSuchVariant(f"{format_name} weights are not supported for the architecture {model.config.model_type}.")
    rounding = ROUNDINGS[format_name]
    expected = _plain_logits(model)
    try:
        forward = FusedDecoder(model, slots, rounding.layers, rounding.head, name=f"fused {format_name}")
    except ValueError as error:
        raise NoSuchVariant(f"{error}.") from error
    difference = _difference(_stepwise_logits(forward, model, slots), expected)
    if difference > rounding.tolerance:
        raise NoSuchVariant(
            f"{format_name} weights change the logits of this model by {difference:.0%}, which is too much."
        )
    return forward


def _probe_tokens(model: Any) -> list[list[int]]:
    # Long enough for several chunks, different enough for a neighbour's keys to be noticed.
    size = model.get_input_embeddings().num_embeddings
    # Three, because products of one or two rows may go other ways than those of more.
    return [[(3 + step * at) % size for at in range(length)] for step, length in ((7, 21), (11, 13), (5, 8))]


def _plain_logits(model: Any) -> list[Tensor]:
    with torch.inference_mode():
        return [
            model(input_ids=torch.tensor([tokens]), use_cache=False, logits_to_keep=2).logits[0]
            for tokens in _probe_tokens(model)
        ]


def _stepwise_logits(forward: BatchForward, model: Any, slots: KeyValueSlots) -> list[Tensor]:
    """The same last two logits, computed in company: a chunk each, the next chunk, then one token each."""
    prompts = _probe_tokens(model)
    places = [slots.take(len(tokens)) for tokens in prompts]
    results: list[list[Tensor]] = [[] for _ in prompts]
    with torch.inference_mode():
        for part in range(3):
            spans = []
            for tokens, place in zip(prompts, places, strict=True):
                if place is None:
                    raise ValueError("the key/value budget is too small to try the packed path")
                borders = (0, 5, len(tokens) - 1, len(tokens))
                spans.append(Span(place, borders[part], tokens[borders[part] : borders[part + 1]]))
            for number, row in enumerate(forward.logits(spans)):
                results[number].append(row)
    for place in places:
        if place is not None:
            slots.give_back(place)
    return [torch.stack(rows[-2:]) for rows in results]


def _difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest deviation relative to the largest logit; not a number counts as infinite."""
    worst = 0.0
    for mine, theirs in zip(found, expected, strict=True):
        scale = float(theirs.float().abs().max())
        gap = float((mine.float() - theirs.float()).abs().max())
        ratio = gap / scale if scale > 0 else gap
        worst = max(worst, ratio if ratio == ratio else float("inf"))  # noqa: PLR0124 - NaN is unlike itself
    return worst
