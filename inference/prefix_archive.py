"""Keys and values of finished requests, so that a conversation's next turn reads only what is new.

Lives in the part of the key/value budget that no slot needs, and gives way to slots at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from inference.key_value_slots import KeyValueSlots, LayerTensors, Place

logger = logging.getLogger(__name__)

# Below this, copying and bookkeeping are not worth the tokens.
SHORTEST: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What a model, with that adapter if any, computed for `tokens`.

    The first `invariant` positions are what it computes for them at any time, see `BatchForward.invariant_positions`.
    """

    adapter: str | None
    tokens: tuple[int, ...]
    layers: LayerTensors
    invariant: int

    def begins(self, other: Entry) -> bool:
        """Whether the other one can take this one's place."""
        return other.tokens[: len(self.tokens)] == self.tokens and other.invariant >= self.invariant


@dataclass(frozen=True, slots=True)
class Recalled:
    """The first `length` positions of an entry; 0 when none is worth it."""

    layers: LayerTensors
    length: int
    invariant: int


NOTHING: Final = Recalled({}, 0, 0)


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

    def store(self, place: Place, tokens: Sequence[int], adapter: str | None = None, *, invariant: int = 0) -> None:
        """Keep a copy of a slot that holds `tokens`, in place of every entry that is a beginning of it."""
        kept = tuple(tokens)
        new = Entry(adapter, kept, {}, min(invariant, len(kept)))
        same = [entry for entry in self._entries if entry.adapter == adapter]
        if len(kept) < SHORTEST or any(new.begins(entry) for entry in same):
            return
        beginnings = [entry for entry in same if entry.begins(new)]
        self._entries = [entry for entry in self._entries if entry not in beginnings]
        if len(kept) > self._slots.room:
            self.give_up(len(kept) - self._slots.room)
        if len(kept) <= self._slots.room:
            try:
                self._entries.append(replace(new, layers=self._slots.read(place, len(kept))))
            except (MemoryError, RuntimeError):
                # The system has less memory than the budget says; a cache is the first thing to go.
                logger.warning("No memory to remember a prompt; all remembered ones are dropped.", exc_info=True)
                self.clear()

    def recall(self, tokens: Sequence[int], adapter: str | None = None, *, only_invariant: bool = False) -> Recalled:
        """The longest beginning of `tokens` that is known; with `only_invariant` of what never comes out otherwise."""
        wanted = tuple(tokens)

        def known(entry: Entry) -> int:
            if entry.adapter != adapter:
                return 0
            common = common_length(entry.tokens, wanted)
            return min(common, entry.invariant) if only_invariant else common

        lengths = [known(entry) for entry in self._entries]
        longest = max(lengths, default=0)
        if longest < SHORTEST:
            return NOTHING
        entry = self._entries.pop(lengths.index(longest))
        self._entries.append(entry)
        return Recalled(entry.layers, longest, min(longest, entry.invariant))

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
