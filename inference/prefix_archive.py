"""Keys and values of finished requests, so that a conversation's next turn reads only what is new.

Lives in the part of the key/value budget that no slot needs, and gives way to slots at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inference.key_value_slots import KeyValueSlots, LayerTensors, Place

logger = logging.getLogger(__name__)

# Below this, copying and bookkeeping are not worth the tokens.
SHORTEST: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What a model, with that adapter if any, computed for `tokens`."""

    adapter: str | None
    tokens: tuple[int, ...]
    layers: LayerTensors


class PrefixArchive:
    """Remembers the most recently used sequences that fit beside the slots."""

    def __init__(self, slots: KeyValueSlots) -> None:
        self._slots = slots
        self._entries: list[Entry] = []  # the least recently used first
        slots.let(self)

    @property
    def positions(self) -> int:
        """Positions that the entries hold."""
        return sum(len(entry.tokens) for entry in self._entries)

    def store(self, place: Place, tokens: Sequence[int], adapter: str | None = None) -> None:
        """Keep a copy of a slot that holds `tokens`, in place of every entry that is a beginning of it."""
        kept = tuple(tokens)
        same = [entry for entry in self._entries if entry.adapter == adapter]
        if len(kept) < SHORTEST or any(entry.tokens[: len(kept)] == kept for entry in same):
            return
        beginnings = [entry for entry in same if kept[: len(entry.tokens)] == entry.tokens]
        self._entries = [entry for entry in self._entries if entry not in beginnings]
        if len(kept) > self._slots.room:
            self.give_up(len(kept) - self._slots.room)
        if len(kept) <= self._slots.room:
            try:
                self._entries.append(Entry(adapter, kept, self._slots.read(place, len(kept))))
            except (MemoryError, RuntimeError):
                # The system has less memory than the budget says; a cache is the first thing to go.
                logger.warning("No memory to remember a prompt; all remembered ones are dropped.", exc_info=True)
                self.clear()

    def recall(
        self, tokens: Sequence[int], adapter: str | None = None, *, at_most: int | None = None
    ) -> tuple[LayerTensors, int]:
        """The entry with the longest common beginning, and its length; 0 when none is worth it.

        Of an entry only the first `at_most` positions count (None: all).
        """
        wanted = tuple(tokens[:at_most])
        lengths = [common_length(entry.tokens, wanted) if entry.adapter == adapter else 0 for entry in self._entries]
        longest = max(lengths, default=0)
        if longest < SHORTEST:
            return {}, 0
        entry = self._entries.pop(lengths.index(longest))
        self._entries.append(entry)
        return entry.layers, longest

    def give_up(self, positions: int) -> None:
        """Forget the least recently used entries until so many positions are free, or none is left."""
        freed = 0
        while self._entries and freed < positions:
            freed += len(self._entries.pop(0).tokens)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading items two tuples share, by halving, so that the comparing happens in C."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
