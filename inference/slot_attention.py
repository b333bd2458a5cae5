"""transformers' extension points filled in: a `Cache` that writes into slots and an attention function that reads them.

The cache hands the whole store to the attention function instead of one sequence's keys; both get the step's plan, the
attention function as the keyword argument `step_plan` of the model's forward. transformers makes no mask for an
attention function that registers none.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from inference.key_value_slots import KeyValueSlots
from inference.step_plan import Chunk, KeyView, Run, StepPlan

ATTENTION_NAME: Final = "steelyard_slots"
# Where scores must be seen between the two products (sinks, a softcap), a long prompt's are made in parts: of all 512
# tokens of a chunk, 64 heads and 8,192 keys they would be 268 million, and softmax keeps several copies.
SCORES_AT_ONCE: Final = 2**22


class SlotCache(Cache):
    """The keys and values of every request, behind the interface that models write to."""

    def __init__(self, slots: KeyValueSlots) -> None:
        super().__init__(layers=[])
        self._slots = slots
        self.plan: StepPlan | None = None

    def update(  # type: ignore[override]  # what comes back is the store, for the attention function below
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[LayerStore, LayerStore]:
        """Store the packed `(1, heads, tokens, size)` states of the plan's tokens."""
        plan = self.plan
        if plan is None:
            raise RuntimeError("a model wrote to the slots outside of a step")
        store = LayerStore(self._slots, layer_idx)
        write_rows(plan, store, key_states, value_states)
        for chunk in plan.chunks:
            keys, values = store.pair(chunk.place.capacity, key_states, value_states)
            part = slice(chunk.offset, chunk.offset + chunk.length)
            keys[chunk.place.index, :, chunk.start : chunk.end] = key_states[0, :, part]
            values[chunk.place.index, :, chunk.start : chunk.end] = value_states[0, :, part]
        return store, store

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Positions are given to the model explicitly; nothing may be derived from a common length."""
        return 0


class LayerStore:
    """The slots of one layer."""

    __slots__ = ("_number", "_slots")

    def __init__(self, slots: KeyValueSlots, number: int) -> None:
        self._slots = slots
        self._number = number

    def pair(self, capacity: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The group's `(slots, heads, capacity, size)` keys and values, made like the examples if need be."""
        stored_keys, stored_values = self._slots.layer(capacity, self._number, keys, values)
        return stored_keys, stored_values

    def existing(self, capacity: int) -> tuple[Tensor, Tensor]:
        """The group's tensors, which a write of this step has made."""
        keys, values = self._slots.existing_layer(capacity, self._number)
        return keys, values


def write_rows(plan: StepPlan, store: LayerStore, keys: Tensor, values: Tensor) -> None:
    """Store the single-token spans' states."""
    for write in plan.writes:
        to_keys, to_values = store.pair(write.capacity, keys, values)
        part = slice(write.offset, write.offset + len(write.slots))
        to_keys[write.slots, :, write.positions] = keys[0, :, part].transpose(0, 1)
        to_values[write.slots, :, write.positions] = values[0, :, part].transpose(0, 1)


def slot_attention(
    module: nn.Module,
    query: Tensor,
    key: LayerStore,
    value: LayerStore,
    attention_mask: Tensor | None,
    *,
    step_plan: StepPlan,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend for every packed token to its own slot; `(1, heads, tokens, size)` in, `(1, tokens, heads, size)` out."""
    if attention_mask is not None:
        raise ValueError("an architecture brought a mask of its own, which slots cannot honour")
    attention = Attention(scaling if scaling is not None else query.shape[-1] ** -0.5, softcap, s_aux)
    return attention.attend(query, key, step_plan, sliding_window).unsqueeze(0), None


class KeysAndValues(Protocol):
    """One layer's stored `(slots, heads, capacity, size)` keys and values of a group."""

    def existing(self, capacity: int) -> tuple[Tensor, Tensor]: ...


class Attention:
    """One layer's arithmetic; the query heads of a group share their key/value head without repeating it."""

    __slots__ = ("_scaling", "_sinks", "_softcap")

    def __init__(self, scaling: float, softcap: float | None = None, sinks: Tensor | None = None) -> None:
        self._scaling = scaling
        self._softcap = softcap
        self._sinks = sinks

    @property
    def scaling(self) -> float:
        return self._scaling

    def attend(self, query: Tensor, store: KeysAndValues, plan: StepPlan, window: int | None) -> Tensor:
        """`(1, heads, tokens, size)` queries to `(tokens, heads, size)`, each token seeing its own slot."""
        parts = [self.run(query, store, plan, number, window) for number in range(len(plan.runs))]
        parts += [self.chunk(query, store, plan, number, window) for number in range(len(plan.chunks))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def run(self, query: Tensor, store: KeysAndValues, plan: StepPlan, number: int, window: int | None) -> Tensor:
        """`(count, heads, size)` for the single tokens of a run of slots."""
        run: Run = plan.runs[number]
        view = plan.run_view(number, window)
        keys, values = store.existing(run.capacity)
        rows = slice(run.first_slot, run.first_slot + run.count)
        seen = slice(view.first_key, view.end_key)
        heads, size = query.shape[1], query.shape[3]
        groups = keys.shape[1]
        # The heads of a group are the query rows of one attention problem.
        queries = query[0, :, run.offset : run.offset + run.count].transpose(0, 1)
        queries = queries.reshape(run.count, groups, heads // groups, size)
        keys, values = keys[rows, :, seen], values[rows, :, seen]
        if self._makes_scores:
            sinks = None if self._sinks is None else self._sinks.view(1, groups, heads // groups, 1)
            out = self._weights(queries @ keys.transpose(-1, -2), view.mask, sinks) @ values
        else:
            out = scaled_dot_product_attention(queries, keys, values, attn_mask=view.mask, scale=self._scaling)
        return out.reshape(run.count, heads, -1)

    def chunk(self, query: Tensor, store: KeysAndValues, plan: StepPlan, number: int, window: int | None) -> Tensor:
        """`(length, heads, size)` for a piece of a prompt."""
        chunk: Chunk = plan.chunks[number]
        parts = self._parts(chunk, query.shape[1], window)
        if len(parts) == 1:
            return self._part(query, store, chunk, plan.chunk_view(chunk, window))
        # Products of one shape are prepared once: without a window all parts read the same keys.
        end_key = chunk.end if window is None else None
        all_values = store.existing(chunk.place.capacity)[1]
        # Made before the scores: small blocks between these would keep the heap from using their room again.
        attended = query.new_empty((chunk.length, query.shape[1], all_values.shape[-1]))
        for part in parts:
            first = part.start - chunk.start
            view = plan.chunk_view(part, window, end_key=end_key)
            attended[first : first + part.length] = self._part(query, store, part, view)
        return attended

    def _parts(self, chunk: Chunk, heads: int, window: int | None) -> list[Chunk]:
        """What of a chunk is computed at once, where scores are made."""
        if not self._makes_scores:
            return [chunk]
        keys = chunk.end if window is None else min(chunk.end, window + chunk.length)
        length = max(1, SCORES_AT_ONCE // (heads * keys))
        return [chunk.part(start, start + length) for start in range(chunk.start, chunk.end, length)]

    def _part(self, query: Tensor, store: KeysAndValues, chunk: Chunk, view: KeyView) -> Tensor:
        all_keys, all_values = store.existing(chunk.place.capacity)
        seen = slice(view.first_key, view.end_key)
        keys, values = all_keys[chunk.place.index, :, seen], all_values[chunk.place.index, :, seen]
        groups, of_group, size = len(keys), query.shape[1] // len(keys), query.shape[3]
        queries = query[0, :, chunk.offset : chunk.offset + chunk.length].reshape(groups, of_group, chunk.length, size)
        if self._makes_scores:
            out = self._scored(queries, keys, values, view.mask)
        else:
            # Key/value heads become the batch, so that broadcasting serves the heads of a group without a copy.
            shape = (groups, of_group, keys.shape[1], -1)
            out = scaled_dot_product_attention(
                queries,
                keys.unsqueeze(1).expand(shape),
                values.unsqueeze(1).expand(shape),
                attn_mask=view.mask,
                is_causal=view.mask is None,
                scale=self._scaling,
            )
        return out.permute(2, 0, 1, 3).reshape(chunk.length, query.shape[1], -1)

    def _scored(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """A piece's `(groups, heads of a group, length, size)`; the heads of a group are rows of the same products."""
        groups, of_group, length, size = queries.shape
        scores = queries.reshape(groups, of_group * length, size) @ keys.transpose(-1, -2)
        scores = scores.view(groups, of_group, length, -1)
        if mask is None:
            mask = torch.full(scores.shape[-2:], -torch.inf, dtype=scores.dtype).triu(diagonal=1)
        sinks = None if self._sinks is None else self._sinks.view(groups, of_group, 1, 1)
        weights = self._weights(scores, mask, sinks).reshape(groups, of_group * length, -1)
        return (weights @ values).view(groups, of_group, length, -1)

    @property
    def _makes_scores(self) -> bool:
        return self._sinks is not None or self._softcap is not None

    def _weights(self, scores: Tensor, mask: Tensor | None, sinks: Tensor | None) -> Tensor:
        """How much each key counts; the sinks take their share and have no value. The scores are changed."""
        keys, dtype = scores.shape[-1], scores.dtype
        scores.mul_(self._scaling)
        if self._softcap is not None:
            scores.div_(self._softcap).tanh_().mul_(self._softcap)
        if mask is not None:
            scores.add_(mask)
        if sinks is not None:
            scores = torch.cat([scores, sinks.to(dtype).expand(*scores.shape[:-1], 1)], dim=-1)
        return torch.softmax(scores, dim=-1, dtype=torch.float32).to(dtype)[..., :keys]


AttentionInterface.register(ATTENTION_NAME, slot_attention)
