"""Llama-like models with few and large operations: joined projections, in-place rotation, one write per layer.

The weights come out of the transformers model, whose arithmetic this repeats; `forward_choice` tries it on tokens
against that model before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import rms_norm, silu

from inference.adapters import AdaptedLinear, AdapterBank, applied
from inference.compute_threads import helped_by_crew
from inference.decode_kernels import add_and_normalise, attend, gate
from inference.key_value_slots import KeyValueSlots, Place
from inference.linear_layers import Guessing, Linear, LinearMaker, NativeLinear, PlainLinear
from inference.native_code import KINDS
from inference.rotation_table import RotationTable
from inference.slot_attention import Attention
from inference.step_plan import EARLY, RowWrite, Span, StepPlan

MODEL_TYPES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
# With more keys than these behind the early positions of a step, torch's attention is faster. The other native
# operations always win.
MOST_NATIVE_KEYS: Final = 3_000
# Fewer keys, or rows, are not worth a second thread.
FEWEST_SHARED_KEYS: Final = 64
FEWEST_SHARED_ROWS: Final = 32


@dataclass(frozen=True, slots=True)
class HeadShape:
    """How a projected row divides: query heads, key heads, value heads, each of `size` numbers."""

    queries: int
    groups: int
    size: int


@dataclass(frozen=True, slots=True)
class Norm:
    """Root-mean-square normalisation."""

    weight: Tensor
    epsilon: float

    def __call__(self, rows: Tensor) -> Tensor:
        return rms_norm(rows, self.weight.shape, self.weight, self.epsilon)


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer's weights; `window` is how many positions it sees, None for all."""

    number: int
    input_norm: Norm
    query_key_value: Linear
    query_norm: Norm | None
    key_norm: Norm | None
    attention: Attention
    window: int | None
    output: Linear
    feed_norm: Norm
    gate_up: Linear
    down: Linear

    @property
    def linears(self) -> tuple[Linear, ...]:
        return self.query_key_value, self.output, self.gate_up, self.down


class JoinedStore:
    """One layer's slots with keys and values in one tensor, keys first."""

    __slots__ = ("_groups", "_number", "_slots")

    def __init__(self, slots: KeyValueSlots, number: int, groups: int) -> None:
        self._slots = slots
        self._number = number
        self._groups = groups

    def existing(self, capacity: int) -> tuple[Tensor, Tensor]:
        (both,) = self._slots.existing_layer(capacity, self._number)
        return both[:, : self._groups], both[:, self._groups :]

    def whole(self, capacity: int, like: Tensor) -> Tensor:
        """The group's `(slots, keys and values, capacity, size)` tensor, made of zeros if need be."""
        example = like.new_empty((1, 2 * self._groups, 0, like.shape[-1]))
        (both,) = self._slots.layer(capacity, self._number, example)
        return both

    def write(self, plan: StepPlan, states: Tensor) -> None:
        """Store `(tokens, keys and values, size)` of the plan's tokens."""
        example = states.transpose(0, 1).unsqueeze(0)
        for write in plan.writes:
            (both,) = self._slots.layer(write.capacity, self._number, example)
            both[write.slots, :, write.positions] = states[write.offset : write.offset + len(write.slots)]
        for chunk in plan.chunks:
            (both,) = self._slots.layer(chunk.place.capacity, self._number, example)
            part = states[chunk.offset : chunk.offset + chunk.length].transpose(0, 1)
            both[chunk.place.index, :, chunk.start : chunk.end] = part


def can_fuse(config: Any) -> bool:
    """Whether the architecture is of the kind computed here."""
    return config.model_type in MODEL_TYPES and config.hidden_act == "silu"


class FusedDecoder:
    """Implements `BatchForward` for the architectures in `MODEL_TYPES`."""

    shares_prefixes = True

    def __init__(
        self,
        model: Any,
        slots: KeyValueSlots,
        make_linear: LinearMaker,
        make_head: LinearMaker | None = None,
        *,
        name: str = "fused",
    ) -> None:
        """`make_head` lays out the output layer, by default as all others."""
        self.name = name
        config = model.config
        if not can_fuse(config):
            raise ValueError(f"{config.model_type} with {config.hidden_act} is not of the kind computed here")
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._heads = HeadShape(config.num_attention_heads, config.num_key_value_heads, size)
        self._slots = slots
        self._bank: AdapterBank | None = None
        self._embedding = model.get_input_embeddings().weight.detach()
        if make_linear not in (PlainLinear, NativeLinear):
            # The other weights are rearranged copies, and this one would keep the whole mapped file in memory.
            self._embedding = self._embedding.clone()
        self._rotation = RotationTable(model.model.rotary_emb, self._embedding)
        self._is_native = self._embedding.dtype in KINDS
        self._layers = [_layer(layer, number, make_linear) for number, layer in enumerate(model.model.layers)]
        self._stores = [JoinedStore(slots, number, self._heads.groups) for number in range(len(self._layers))]
        self._norm = _norm(model.model.norm)
        self._head = (make_head or make_linear)(model.lm_head.weight.detach(), None)
        linears = [self._head, *(linear for layer in self._layers for linear in layer.linears)]
        # All products are native ones: torch's threads, which spin, do not take turns with a crew's.
        is_invariant = all(each.is_batch_invariant for each in linears)
        self.invariant_positions = EARLY if is_invariant else 0
        self._has_crew = self._is_native and is_invariant
        layers, head = self._layers[0].down.guessing, self._head.guessing
        self.guessing = Guessing(min(layers.rows, head.rows), max(layers.price, head.price))

    def logits(self, spans: Sequence[Span]) -> Tensor:
        plan = StepPlan(spans, self._embedding.dtype, splits_early=self._is_native)
        with helped_by_crew(wanted=self._has_crew), applied(self._bank, plan.adapter_rows()):
            return self._logits(plan)

    def _logits(self, plan: StepPlan) -> Tensor:
        rows = self._embedding[plan.tokens]
        cosines, sines = self._rotation.at(plan.positions, plan.longest)
        if self._is_native:
            rows = self._natively(plan, rows, cosines, sines)
        else:
            for layer, store in zip(self._layers, self._stores, strict=True):
                rows = self._through(layer, store, plan, rows, cosines, sines)
            rows = self._norm(rows)
        for span in plan.spans:
            self._slots.note_length(span.place, span.end)
        if plan.chunks:
            rows = rows[plan.last_tokens]
        return plan.in_given_order(self._head(rows))

    def _through(
        self, layer: Layer, store: JoinedStore, plan: StepPlan, rows: Tensor, cosines: Tensor, sines: Tensor
    ) -> Tensor:
        states = layer.query_key_value(layer.input_norm(rows))
        attended = self._attended(layer, store, plan, states, cosines, sines)
        rows = rows + layer.output(attended)
        gate, up = layer.gate_up(layer.feed_norm(rows)).chunk(2, dim=-1)
        return rows + layer.down(silu(gate).mul_(up))

    def _attended(
        self, layer: Layer, store: JoinedStore, plan: StepPlan, states: Tensor, cosines: Tensor, sines: Tensor
    ) -> Tensor:
        self._normalise_heads(layer, states)
        return self._attended_by_torch(layer, store, plan, states, cosines, sines)

    def _attended_by_torch(
        self, layer: Layer, store: JoinedStore, plan: StepPlan, states: Tensor, cosines: Tensor, sines: Tensor
    ) -> Tensor:
        """What the tokens of the plan's runs and chunks see, in this order; all states are rotated in place."""
        heads = self._heads
        by_head = states.view(len(states), -1, heads.size)
        turned = by_head[:, : heads.queries + heads.groups]
        half_turned = turned.roll(heads.size // 2, dims=-1)
        turned.mul_(cosines).addcmul_(half_turned, sines)
        store.write(plan, by_head[:, heads.queries :])
        queries = by_head[:, : heads.queries].transpose(0, 1).unsqueeze(0)
        return layer.attention.attend(queries, store, plan, layer.window).flatten(1)

    def _natively(self, plan: StepPlan, rows: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        """All layers and the last normalisation, with native calls between the products."""
        single, others = plan.row_by_row(MOST_NATIVE_KEYS)
        other_rows = others.packed_rows() if others is not None else None
        count, width = rows.shape
        normed = torch.empty_like(rows)
        product: Tensor | None = None
        dtype = rows.dtype
        threads = torch.get_num_threads() if count >= FEWEST_SHARED_ROWS else 1
        attending_threads = torch.get_num_threads() if plan.keys_read >= FEWEST_SHARED_KEYS else 1

        def add_and_norm(norm: Norm) -> None:
            added_at = 0 if product is None else product.data_ptr()
            pointers = (rows.data_ptr(), added_at, norm.weight.data_ptr(), normed.data_ptr())
            add_and_normalise(dtype, *pointers, count, width, norm.epsilon)

        for layer, store in zip(self._layers, self._stores, strict=True):
            add_and_norm(layer.input_norm)
            states = layer.query_key_value(normed)
            self._normalise_heads(layer, states)
            attended = self._natively_attended(single, layer, store, states, cosines, sines, threads=attending_threads)
            if others is not None:
                # It turns the states in place, where a helper that was left behind may still read.
                turned = states.clone() if single else states
                attended[other_rows] = self._attended_by_torch(layer, store, others, turned, cosines, sines)
            product = layer.output(attended)
            add_and_norm(layer.feed_norm)
            gate_up = layer.gate_up(normed)
            inner = gate_up.new_empty((count, gate_up.shape[1] // 2))
            pointers = gate_up.data_ptr(), inner.data_ptr()
            gate(dtype, *pointers, count, inner.shape[1], threads=threads, keep=(gate_up, inner))
            product = layer.down(inner)
        add_and_norm(self._norm)
        return normed

    def _natively_attended(
        self,
        rows: Sequence[RowWrite],
        layer: Layer,
        store: JoinedStore,
        states: Tensor,
        cosines: Tensor,
        sines: Tensor,
        *,
        threads: int,
    ) -> Tensor:
        """What each of these rows sees, at its place among all; what others see is left open."""
        heads, item = self._heads, states.element_size()
        attended = states.new_empty((len(states), heads.queries * heads.size))
        for write in rows:
            both = store.whole(write.capacity, cosines)
            attend(
                states.dtype,
                states.data_ptr() + write.offset * states.shape[1] * item,
                cosines.data_ptr() + write.offset * heads.size * item,
                sines.data_ptr() + write.offset * heads.size * item,
                both.data_ptr(),
                write.slots.data_ptr(),
                write.positions.data_ptr(),
                attended.data_ptr() + write.offset * attended.shape[1] * item,
                len(write.slots),
                heads.queries,
                heads.groups,
                heads.size,
                write.capacity,
                layer.window or 0,
                layer.attention.scaling,
                see_each_other=write.is_chunk,
                threads=threads,
                keep=(states, cosines, sines, both, write, attended),
            )
        return attended

    def _normalise_heads(self, layer: Layer, states: Tensor) -> None:
        if layer.query_norm is None or layer.key_norm is None:
            return
        heads = self._heads
        by_head = states.view(len(states), -1, heads.size)
        by_head[:, : heads.queries] = layer.query_norm(by_head[:, : heads.queries])
        keys = slice(heads.queries, heads.queries + heads.groups)
        by_head[:, keys] = layer.key_norm(by_head[:, keys])

    def adapt(self, bank: AdapterBank) -> None:
        self._bank = bank
        self._layers = [_adapted(layer, bank) for layer in self._layers]

    def forget(self, place: Place) -> None:
        pass

    def clear(self) -> None:
        self._layers.clear()
        self._stores.clear()
        self._slots.clear()
        del self._embedding, self._head


def _norm(module: Any) -> Norm:
    return Norm(module.weight.detach().clone().contiguous(), module.variance_epsilon)


def _joined(modules: Sequence[Any], make_linear: LinearMaker) -> Linear:
    weights = [module.weight.detach() for module in modules]
    weight = torch.cat(weights) if len(weights) > 1 else weights[0]
    biases = [module.bias for module in modules]
    if all(bias is None for bias in biases):
        return make_linear(weight, None)
    return make_linear(weight, torch.cat([bias.detach() for bias in biases]))


def _layer(layer: Any, number: int, make_linear: LinearMaker) -> Layer:
    attention, feed = layer.self_attn, layer.mlp
    window = getattr(attention, "sliding_window", None)
    if attention.config.model_type == "mistral":
        window = getattr(attention.config, "sliding_window", None)
    return Layer(
        number=number,
        input_norm=_norm(layer.input_layernorm),
        query_key_value=_joined((attention.q_proj, attention.k_proj, attention.v_proj), make_linear),
        query_norm=_norm(attention.q_norm) if hasattr(attention, "q_norm") else None,
        key_norm=_norm(attention.k_norm) if hasattr(attention, "k_norm") else None,
        attention=Attention(attention.scaling),
        window=window,
        output=_joined((attention.o_proj,), make_linear),
        feed_norm=_norm(layer.post_attention_layernorm),
        gate_up=_joined((feed.gate_proj, feed.up_proj), make_linear),
        down=_joined((feed.down_proj,), make_linear),
    )


def _adapted(layer: Layer, bank: AdapterBank) -> Layer:
    def adapted(base: Linear, part: str, *names: str) -> Linear:
        return AdaptedLinear(base, bank, [f"model.layers.{layer.number}.{part}.{name}" for name in names])

    return replace(
        layer,
        query_key_value=adapted(layer.query_key_value, "self_attn", "q_proj", "k_proj", "v_proj"),
        output=adapted(layer.output, "self_attn", "o_proj"),
        gate_up=adapted(layer.gate_up, "mlp", "gate_proj", "up_proj"),
        down=adapted(layer.down, "mlp", "down_proj"),
    )
