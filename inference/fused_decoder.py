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
from inference.key_value_slots import KeyValueSlots, Place
from inference.linear_layers import Linear, LinearMaker, PlainLinear
from inference.slot_attention import Attention
from inference.step_plan import Span, StepPlan

MODEL_TYPES: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})


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
        if make_linear is not PlainLinear:
            # The other weights are rearranged copies, and this one would keep the whole mapped file in memory.
            self._embedding = self._embedding.clone()
        self._rotary = model.model.rotary_emb
        self._layers = [_layer(layer, number, make_linear) for number, layer in enumerate(model.model.layers)]
        self._stores = [JoinedStore(slots, number, self._heads.groups) for number in range(len(self._layers))]
        self._norm = _norm(model.model.norm)
        self._head = (make_head or make_linear)(model.lm_head.weight.detach(), None)

    def logits(self, spans: Sequence[Span]) -> Tensor:
        plan = StepPlan(spans, self._embedding.dtype)
        with applied(self._bank, plan.adapter_rows()):
            return self._logits(plan)

    def _logits(self, plan: StepPlan) -> Tensor:
        rows = self._embedding[plan.tokens]
        cosines, sines = self._rotary(rows, plan.positions[None])
        cosines, sines = cosines[0, :, None], _signed(sines[0, :, None])
        for layer, store in zip(self._layers, self._stores, strict=True):
            rows = self._through(layer, store, plan, rows, cosines, sines)
        for span in plan.spans:
            self._slots.note_length(span.place, span.end)
        if plan.chunks:
            rows = rows[plan.last_tokens]
        return plan.in_given_order(self._head(self._norm(rows)))

    def _through(
        self, layer: Layer, store: JoinedStore, plan: StepPlan, rows: Tensor, cosines: Tensor, sines: Tensor
    ) -> Tensor:
        heads = self._heads
        states = layer.query_key_value(layer.input_norm(rows)).view(len(rows), -1, heads.size)
        turned = states[:, : heads.queries + heads.groups]
        if layer.query_norm is not None and layer.key_norm is not None:
            turned[:, : heads.queries] = layer.query_norm(turned[:, : heads.queries])
            turned[:, heads.queries :] = layer.key_norm(turned[:, heads.queries :])
        half_turned = turned.roll(heads.size // 2, dims=-1)
        turned.mul_(cosines).addcmul_(half_turned, sines)
        store.write(plan, states[:, heads.queries :])
        queries = states[:, : heads.queries].transpose(0, 1).unsqueeze(0)
        attended = layer.attention.attend(queries, store, plan, layer.window)
        rows = layer.output.added_to(rows, attended.view(len(rows), -1))
        gate, up = layer.gate_up(layer.feed_norm(rows)).chunk(2, dim=-1)
        return layer.down.added_to(rows, silu(gate).mul_(up))

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


def _signed(sines: Tensor) -> Tensor:
    """The sines with the sign that rotating by halves gives the first half, so that a plain roll suffices."""
    first, second = sines.chunk(2, dim=-1)
    return torch.cat((-first, second), dim=-1)


def _norm(module: Any) -> Norm:
    return Norm(module.weight.detach().clone(), module.variance_epsilon)


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
