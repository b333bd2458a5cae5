"""Attention of a prompt's pieces, computed in parts where scores are made, is that of a plain masked softmax."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inference import slot_attention
from inference.key_value_slots import KeyValueSlots
from inference.slot_attention import Attention, LayerStore
from inference.step_plan import Chunk, Span, StepPlan

HEADS, GROUPS, SIZE = 4, 2, 8


def _plain(query: Tensor, keys: Tensor, values: Tensor, chunk: Chunk, window: int | None, **extra: object) -> Tensor:
    """The textbook formula with every key, head by head: `(length, heads, size)`."""
    softcap, sinks = extra.get("softcap"), extra.get("sinks")
    columns = []
    for head in range(HEADS):
        group = head * GROUPS // HEADS
        scores = query[0, head] @ keys[group].T * SIZE**-0.5
        if isinstance(softcap, float):
            scores = softcap * torch.tanh(scores / softcap)
        distance = torch.arange(chunk.start, chunk.end)[:, None] - torch.arange(len(keys[group]))
        scores[(distance < 0) | (distance >= (window or 1_000))] = -torch.inf
        if isinstance(sinks, Tensor):
            scores = torch.cat([scores, sinks[head].expand(len(scores), 1)], dim=-1)
        columns.append(torch.softmax(scores, dim=-1)[:, : len(keys[group])] @ values[group])
    return torch.stack(columns, dim=1)


@given(
    start=st.integers(0, 90),
    length=st.integers(2, 70),
    before=st.integers(2, 30),
    window=st.none() | st.integers(1, 100),
    scores_at_once=st.sampled_from([1, 700, 2_000, 2**22]),
    kind=st.sampled_from(["plain", "sinks", "softcap"]),
)
def test_a_piece_of_a_prompt_sees_what_it_should(
    start: int, length: int, before: int, window: int | None, scores_at_once: int, kind: str
) -> None:
    random = torch.Generator().manual_seed(start * 1_000 + length)
    end = start + length
    keys, values = (torch.randn(GROUPS, end, SIZE, generator=random) for _ in range(2))
    query = torch.randn(1, HEADS, before + length, SIZE, generator=random)
    sinks = torch.randn(HEADS, generator=random) if kind == "sinks" else None
    softcap = 2.0 if kind == "softcap" else None
    slots = KeyValueSlots(budget=768, longest=512)
    other, place = slots.take(before), slots.take(end)
    assert other is not None
    assert place is not None
    slots.write(place, {0: (keys, values)}, end)
    plan = StepPlan([Span(other, 0, [0] * before), Span(place, start, [0] * length)], torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slot_attention, "SCORES_AT_ONCE", scores_at_once)
        found = Attention(SIZE**-0.5, softcap, sinks).attend(query, LayerStore(slots, 0), plan, window)
    expected = _plain(query[:, :, before:], keys, values, plan.chunks[1], window, softcap=softcap, sinks=sinks)
    torch.testing.assert_close(found[before:], expected, rtol=1e-4, atol=1e-5)


def test_a_window_reads_no_key_before_it() -> None:
    slots = KeyValueSlots(budget=512, longest=512)
    place = slots.take(300)
    assert place is not None
    plan = StepPlan([Span(place, 200, [0] * 50)], torch.float32)
    view = plan.chunk_view(plan.chunks[0], 16)
    assert (view.first_key, view.end_key) == (185, 250)
    assert view.mask is not None
    assert view.mask.shape == (50, 65)
