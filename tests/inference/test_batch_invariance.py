"""At early positions a token's numbers are the same to the last bit in any company, however a prompt is divided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM

from inference.fused_decoder import FusedDecoder
from inference.key_value_slots import KeyValueSlots
from inference.linear_layers import Int4Linear, Int8Linear, NativeLinear, PackedLinear, PlainLinear, bfloat16_maker
from inference.step_plan import EARLY, Span
from tests.inference.conftest import FolderMaker

LONGEST = EARLY + 40
Lengths = st.integers(1, LONGEST)


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3"])
def decoder(request: pytest.FixtureRequest, tiny_folder: FolderMaker) -> tuple[FusedDecoder, KeyValueSlots, int]:
    model = AutoModelForCausalLM.from_pretrained(tiny_folder(request.param), dtype=torch.bfloat16)
    slots = KeyValueSlots(budget=16 * 1_024, longest=LONGEST)
    return FusedDecoder(model, slots, NativeLinear), slots, model.config.vocab_size


@torch.inference_mode()
def _logits(
    decoder: tuple[FusedDecoder, KeyValueSlots, int], prompts: Sequence[Sequence[int]], cuts: Sequence[int]
) -> Tensor:
    """The rows of the last prompt, read up to each cut in turn; of the others each step reads a part, too."""
    forward, slots, _size = decoder
    places = []
    for prompt in prompts:
        place = slots.take(len(prompt))
        assert place is not None
        places.append(place)
    steps = list(pairwise([0, *cuts, len(prompts[-1])]))
    rows = []
    for number, (start, end) in enumerate(steps):
        spans = []
        for prompt, place in zip(prompts[:-1], places, strict=False):
            first, after = (len(prompt) * at // len(steps) for at in (number, number + 1))
            if first < after:
                spans.append(Span(place, first, prompt[first:after]))
        spans.append(Span(places[-1], start, prompts[-1][start:end], wanted=end - start))
        rows.append(forward.logits(spans)[-(end - start) :].clone())
    for place in places:
        slots.give_back(place, wipe=True)
    return torch.cat(rows)


@settings(max_examples=40)
@given(data=st.data(), length=Lengths, others=st.lists(Lengths, max_size=9), seed=st.integers(0, 999))
def test_neither_company_nor_the_division_into_steps_changes_a_bit(
    decoder: tuple[FusedDecoder, KeyValueSlots, int], data: st.DataObject, length: int, others: list[int], seed: int
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, length - 1), max_size=4))) if length > 1 else []
    random = torch.Generator().manual_seed(seed)
    prompts = [torch.randint(decoder[2], (count,), generator=random).tolist() for count in [*others, length]]
    alone = _logits(decoder, prompts[-1:], [])
    assert decoder[0].invariant_positions == EARLY
    assert torch.equal(_logits(decoder, prompts, cuts)[:EARLY], alone[:EARLY])


@pytest.mark.parametrize(
    ("make_linear", "is_invariant"),
    [
        (PlainLinear, False),
        (NativeLinear, True),
        (PackedLinear, False),
        (Int4Linear, False),
        (Int8Linear, bfloat16_maker() is NativeLinear),
    ],
)
def test_a_layout_whose_products_depend_on_company_promises_nothing(
    make_linear: Callable[[Tensor, Tensor | None], NativeLinear], is_invariant: bool
) -> None:
    assert make_linear(torch.ones(32, 32).bfloat16(), None).is_batch_invariant == is_invariant
