"""How much of a variant's context a prompt takes: counted where its tokenizer is at hand, else estimated."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from inference.engine import Message
from inference.prompt_tokens import TOKENIZER_FILE, PromptCounter, PromptUncountable
from portal.catalog.models import Variant

logger = logging.getLogger(__name__)

# Between English (about 4 bytes a token) and code or other languages (3 and less); rounding up what may not fit.
ESTIMATED_BYTES_PER_TOKEN: Final = 3.5
ESTIMATED_TOKENS_PER_MESSAGE: Final = 5


class Room(StrEnum):
    """What a prompt leaves of the context."""

    UNKNOWN = "unknown"
    ENOUGH = "enough"
    # The answer may be cut before it reaches max_tokens.
    TIGHT = "tight"
    # No token of an answer fits.
    FULL = "full"


@dataclass(frozen=True, slots=True)
class ContextUse:
    """What a prompt takes of a context. `context_length` is None where an upstream does not tell it.

    `is_growing`: an answer before it is being written, and is not counted yet.
    """

    prompt_tokens: int
    max_tokens: int
    context_length: int | None
    is_exact: bool
    is_growing: bool = False

    @property
    def left(self) -> int | None:
        """Tokens for the answer."""
        return None if self.context_length is None else max(0, self.context_length - self.prompt_tokens)

    @property
    def room(self) -> Room:
        left = self.left
        if left is None:
            return Room.UNKNOWN
        if left == 0:
            return Room.FULL
        return Room.TIGHT if left < self.max_tokens else Room.ENOUGH

    @property
    def shown_tokens(self) -> int:
        return min(self.prompt_tokens, self.context_length or self.prompt_tokens)

    @property
    def high_mark(self) -> int:
        """From here on, max tokens no longer fit."""
        return max(0, (self.context_length or 0) - self.max_tokens)

    @property
    def percent(self) -> int | None:
        return None if not self.context_length else min(100, round(100 * self.prompt_tokens / self.context_length))


def measure_context(
    variant: Variant, messages: Sequence[Message], *, max_tokens: int, is_completion: bool = False
) -> ContextUse:
    """Count a prompt as its variant's engine would read it."""
    counted = _counted(variant, messages, is_completion=is_completion)
    tokens = counted if counted is not None else _estimated(messages)
    return ContextUse(tokens, max_tokens, variant.context_length, is_exact=counted is not None)


@dataclass(frozen=True, slots=True)
class Shortened:
    """Messages with the oldest turns left out, and how many those were."""

    messages: list[dict[str, Any]]
    dropped: int


def drop_oldest_turns(variant: Variant, messages: Sequence[dict[str, Any]], *, max_tokens: int) -> Shortened:
    """Leave out as few of the oldest turns as make room for `max_tokens`; the system prompt and the last prompt stay.

    Where even the last prompt alone leaves too little room, all other turns are left out, and the engine has its say.
    """
    system = [each for each in messages[:1] if each["role"] == "system"]
    turns = list(messages[len(system) :])
    starts = [at for at, each in enumerate(turns) if each["role"] == "user"] or [0]
    # More left out never takes more room, so the first cut that fits is found by halving.
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        shortened = [*system, *turns[starts[middle] :]]
        use = measure_context(variant, _as_messages(shortened), max_tokens=max_tokens)
        if use.room in {Room.ENOUGH, Room.UNKNOWN}:
            high = middle
        else:
            low = middle + 1
    return Shortened([*system, *turns[starts[low] :]], low)


def _as_messages(messages: Sequence[dict[str, Any]]) -> list[Message]:
    return [Message(each["role"], each["content"]) for each in messages]


def _counted(variant: Variant, messages: Sequence[Message], *, is_completion: bool) -> int | None:
    counter = _counter_of(variant)
    if counter is None:
        return None
    try:
        if is_completion:
            return counter.count_text("".join(each.content for each in messages))
        return counter.count_chat(messages)
    except PromptUncountable:
        return None


def _estimated(messages: Sequence[Message]) -> int:
    size = sum(len(each.content.encode()) for each in messages)
    return math.ceil(size / ESTIMATED_BYTES_PER_TOKEN) + ESTIMATED_TOKENS_PER_MESSAGE * len(messages)


def _counter_of(variant: Variant) -> PromptCounter | None:
    """None for an upstream, and where this web process does not reach the weights."""
    # An adapter's folder has no tokenizer: its base's is the one that runs.
    folder = variant.runs_on.folder
    if folder is None:
        return None
    try:
        changed = (folder / TOKENIZER_FILE).stat().st_mtime_ns
    except OSError:
        return None
    return _read_counter(folder, changed)


@lru_cache(maxsize=8)
def _read_counter(folder: Path, changed: int) -> PromptCounter | None:
    """Reading takes half a second for a large vocabulary; a tokenizer that was changed is read again."""
    try:
        return PromptCounter.from_folder(folder)
    except PromptUncountable as error:
        logger.warning("Prompts of %s are estimated, not counted: %s", folder.name, error)
        return None
