"""A model that is ready to run, with everything that goes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.adapters import AdapterBank
from inference.batch_forward import BatchForward
from inference.channels import ChannelReader
from inference.chat_prompt import PromptRenderer
from inference.detokenizer import Vocabulary
from inference.key_value_slots import KeyValueSlots


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """Everything that steps need of a model. `end_ids` end an answer; `context_length` counts positions."""

    forward: BatchForward
    adapters: AdapterBank
    slots: KeyValueSlots
    vocabulary: Vocabulary
    renderer: PromptRenderer
    channel_reader: Callable[[Sequence[int]], ChannelReader]
    end_ids: frozenset[int]
    context_length: int
    vocabulary_size: int
    name: str
