"""From a step's spans to logits, in two ways: packed through the slots, or one request after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from inference.adapters import EVERY_ROW, AdapterBank, applied
from inference.key_value_slots import KeyValueSlots, Place
from inference.linear_layers import GUESSING, NO_GUESSING, Guessing
from inference.slot_attention import ATTENTION_NAME, SlotCache
from inference.step_plan import Span, StepPlan


class BatchForward(Protocol):
    """Computes steps. Repeating a step with the same spans gives the same result and does no harm."""

    @property
    def name(self) -> str:
        """What the variant's facts call this path."""

    @property
    def shares_prefixes(self) -> bool:
        """Whether a slot's content may be copied to another request's slot."""

    @property
    def invariant_positions(self) -> int:
        """So many first positions of a request without an adapter come out the same to the last bit in any company.

        However they are divided into steps. 0: nothing is promised.
        """

    @property
    def guessing(self) -> Guessing:
        """What steps with guessed tokens cost.

        There can be none where a span may not begin before the end of the one before it, so that its last tokens are
        forgotten.
        """

    def logits(self, spans: Sequence[Span]) -> Tensor:
        """`(rows, vocabulary)`: for each span in turn, the logits after its last `wanted` tokens."""

    def adapt(self, bank: AdapterBank) -> None:
        """Apply the bank's adapters to the spans that name one, from now on."""

    def forget(self, place: Place) -> None:
        """The place's request has ended."""

    def clear(self) -> None:
        """Let go of the weights and all state."""


class PackedForward:
    """All spans in one pass of the transformers model, whose attention reads the slots directly."""

    name = "packed"
    shares_prefixes = True
    invariant_positions = 0
    guessing = GUESSING

    def __init__(self, model: Any, slots: KeyValueSlots) -> None:
        self._model = model
        self._slots = slots
        self._cache = SlotCache(slots)
        self._bank: AdapterBank | None = None
        model.set_attn_implementation(ATTENTION_NAME)

    def logits(self, spans: Sequence[Span]) -> Tensor:
        plan = StepPlan(spans, self._model.dtype)
        self._cache.plan = plan
        try:
            with applied(self._bank, plan.adapter_rows()):
                output = self._model(
                    input_ids=plan.tokens[None],
                    position_ids=plan.positions[None],
                    past_key_values=self._cache,
                    use_cache=True,
                    logits_to_keep=plan.last_tokens,
                    step_plan=plan,
                )
        finally:
            self._cache.plan = None
        for span in spans:
            self._slots.note_length(span.place, span.end)
        return plan.in_given_order(output.logits[0])

    def adapt(self, bank: AdapterBank) -> None:
        self._bank = bank
        bank.hook_into(self._model)

    def forget(self, place: Place) -> None:
        pass

    def clear(self) -> None:
        self._model = None
        self._slots.clear()


class SequentialForward:
    """The correct slower path: every request has transformers' own cache and its own pass."""

    name = "sequential"
    shares_prefixes = False
    invariant_positions = 0
    guessing = NO_GUESSING

    def __init__(self, model: Any) -> None:
        self._model = model
        self._bank: AdapterBank | None = None
        self._caches: dict[Place, Any] = {}
        self._done: dict[Place, tuple[int, Tensor]] = {}

    def logits(self, spans: Sequence[Span]) -> Tensor:
        return torch.cat([self._one(span) for span in spans])

    def _one(self, span: Span) -> Tensor:
        done = self._done.get(span.place)
        if done is not None and done[0] == span.end:
            return done[1]  # a repeated step: the cache has these tokens already
        if span.start == 0:
            self._caches[span.place] = DynamicCache(config=self._model.config)
        with applied(self._bank, [(span.adapter, EVERY_ROW)] if span.adapter is not None else []):
            output = self._model(
                input_ids=torch.tensor([list(span.tokens)]),
                position_ids=torch.arange(span.start, span.end)[None],
                past_key_values=self._caches[span.place],
                use_cache=True,
                logits_to_keep=span.wanted,
            )
        logits: Tensor = output.logits[0]
        self._done[span.place] = (span.end, logits)
        return logits

    def adapt(self, bank: AdapterBank) -> None:
        self._bank = bank
        bank.hook_into(self._model)

    def forget(self, place: Place) -> None:
        self._caches.pop(place, None)
        self._done.pop(place, None)

    def clear(self) -> None:
        self._model = None
        self._caches.clear()
        self._done.clear()


def fits_slots(config: Any) -> bool:
    """Whether an architecture's parts are of the kinds that slots can hold at all (a check on tokens follows)."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    # These scale positions by the longest sequence of the batch, so neighbours would change each other's tokens.
    if any(kind.get("rope_type") in {"dynamic", "longrope"} for kind in kinds):
        return False
    layer_types = getattr(config, "layer_types", None) or []
    return set(layer_types) <= {"full_attention", "sliding_attention"}
