"""What one forward pass computes: tokens of many requests packed in one row, and where each one's keys lie.

Single-token spans (requests that write their answer) come first, those at early positions before the others, ordered by
slot, so that neighbouring slots are read as one tensor without gathering; chunks of prompts follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import torch
from torch import Tensor

from inference.key_value_slots import Place

# Reading a row up to a neighbour's length wastes time, a further attention call costs time: about the work of
# reading this many key positions. An estimate: timings on 2 cores pointed at 150 to 350; no sweep was made.
CALL_COST_POSITIONS: Final = 160

# What is computed at the first positions is the same in any company where a forward says so, see
# `BatchForward.invariant_positions`; row by row it takes no longer than by torch's attention up to here.
EARLY: Final = 256


@dataclass(frozen=True, slots=True)
class Span:
    """One request's share of a step: `tokens` go to positions `start`, `start + 1`, … of its slot.

    `wanted` is how many of them, counted from the last, logits are wanted for.
    """

    place: Place
    start: int
    tokens: Sequence[int]
    adapter: str | None = None
    wanted: int = 1

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring slots whose single new tokens are attended to in one call."""

    capacity: int
    first_slot: int
    offset: int
    positions: Tensor

    @property
    def count(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True)
class RowWrite:
    """Where the packed tokens `offset …` of one group of slots are stored; a chunk's tokens are all in one slot."""

    capacity: int
    offset: int
    slots: Tensor
    positions: Tensor
    is_chunk: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a prompt in the packed row."""

    place: Place
    offset: int
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length

    def part(self, start: int, end: int) -> Chunk:
        """What lies from position `start` up to `end`."""
        start, end = max(start, self.start), min(end, self.end)
        return Chunk(self.place, self.offset + start - self.start, start, end - start)


@dataclass(frozen=True, slots=True)
class KeyView:
    """What a run or a chunk reads: key positions `first_key` to `end_key`; `mask` is added to the scores.

    Without a mask a run sees all of that, and a chunk, which then begins at position 0, up to each token itself.
    """

    first_key: int
    end_key: int
    mask: Tensor | None


class StepPlan:
    """The packed layout of a step. `order[i]` is the index of the i-th packed span in the given spans.

    Masks are numbers of `dtype` to be added (0 or minus infinity): made once per step, where a boolean mask would be
    converted in every layer, which nearly doubled attention for a chunk of 64 tokens at position 1,900.
    """

    def __init__(self, spans: Sequence[Span], dtype: torch.dtype, *, splits_early: bool = False) -> None:
        """With `splits_early` single tokens at early positions are apart from the others, see `row_by_row`."""
        self._dtype = dtype
        self._late_from = EARLY if splits_early else 0
        rows = [index for index, span in enumerate(spans) if len(span.tokens) == 1]
        rows.sort(key=lambda index: (*self._group(spans[index]), spans[index].place.index))
        chunks = [index for index, span in enumerate(spans) if len(span.tokens) > 1]
        self.order = [*rows, *chunks]
        self.spans = [spans[index] for index in self.order]
        self.writes: list[RowWrite] = []
        self.runs: list[Run] = []
        self.chunks: list[Chunk] = []
        self._views: dict[tuple[int, int | None], KeyView] = {}
        self._chunk_views: dict[tuple[Chunk, int | None], KeyView] = {}
        self._lay_out_rows([spans[index] for index in rows])
        offset = len(rows)
        for span in (spans[index] for index in chunks):
            self.chunks.append(Chunk(span.place, offset, span.start, len(span.tokens)))
            offset += len(span.tokens)
        self.length = offset
        self.longest = max(span.end for span in self.spans)
        self.keys_read = sum(_keys_read(span.start, span.end) for span in self.spans)
        self.tokens = torch.tensor([token for span in self.spans for token in span.tokens])
        self.positions = torch.tensor([at for span in self.spans for at in range(span.start, span.end)])
        last_tokens: list[int] = []
        wanted: dict[int, range] = {}
        offset = 0
        for index, span in zip(self.order, self.spans, strict=True):
            offset += len(span.tokens)
            wanted[index] = range(len(last_tokens), len(last_tokens) + span.wanted)
            last_tokens.extend(range(offset - span.wanted, offset))
        self.last_tokens = torch.tensor(last_tokens)
        self._given_rows = [row for index in sorted(wanted) for row in wanted[index]]

    def in_given_order(self, packed: Tensor) -> Tensor:
        """Rows of `last_tokens`, put into the order in which the spans were given."""
        if self._given_rows == list(range(len(packed))):
            return packed
        return packed[self._given_rows]

    def adapter_rows(self) -> list[tuple[str, Tensor | None]]:
        """The packed rows of each adapter that a span names; None stands for all rows."""
        rows: dict[str, list[int]] = {}
        offset = 0
        for span in self.spans:
            if span.adapter is not None:
                rows.setdefault(span.adapter, []).extend(range(offset, offset + len(span.tokens)))
            offset += len(span.tokens)
        if any(len(indices) == self.length for indices in rows.values()):
            return [(name, None) for name in rows]
        return [(name, torch.tensor(indices)) for name, indices in rows.items()]

    def row_by_row(self, most_late_keys: int) -> tuple[list[RowWrite], StepPlan | None]:
        """The tokens that see their slot up to themselves row by row, and the plan of the others if there are any.

        The others are all that are not early, unless they read at most so many keys. Their plan has runs, chunks and
        writes of its own, and else speaks of all tokens. Of a plan that splits early ones.
        """
        late_keys = sum(_keys_read(max(span.start, EARLY), span.end) for span in self.spans)
        if late_keys <= most_late_keys:
            return [*self.writes, *map(_rows_of, self.chunks)], None
        late = copy(self)
        late.writes = [write for write in self.writes if not _is_early(write.positions)]
        late.runs = [run for run in self.runs if not _is_early(run.positions)]
        late.chunks = [chunk.part(EARLY, chunk.end) for chunk in self.chunks if chunk.end > EARLY]
        early = [chunk.part(chunk.start, EARLY) for chunk in self.chunks if chunk.start < EARLY]
        writes = [write for write in self.writes if _is_early(write.positions)]
        return [*writes, *map(_rows_of, early)], late

    def packed_rows(self) -> Tensor:
        """Where in the packed row the tokens of all runs are, then those of all chunks."""
        parts = [range(run.offset, run.offset + run.count) for run in self.runs]
        parts += [range(chunk.offset, chunk.offset + chunk.length) for chunk in self.chunks]
        return torch.tensor([row for part in parts for row in part])

    def _group(self, span: Span) -> tuple[bool, int]:
        """Single tokens of one group are attended to together."""
        return span.start >= self._late_from, span.place.capacity

    def _lay_out_rows(self, rows: Sequence[Span]) -> None:
        offset = 0
        for (_is_late, capacity), same_group in groupby(rows, key=self._group):
            members = list(same_group)
            slots = torch.tensor([span.place.index for span in members])
            positions = torch.tensor([span.start for span in members])
            self.writes.append(RowWrite(capacity, offset, slots, positions))
            for first, after in _neighbours(members):
                run_positions = positions[first:after]
                self.runs.append(Run(capacity, members[first].place.index, offset + first, run_positions))
            offset += len(members)

    def run_view(self, number: int, window: int | None) -> KeyView:
        """The keys that run `number` reads in a layer that sees the last `window` positions (None: all)."""
        run = self.runs[number]
        view = self._views.get((run.offset, window))
        if view is None:
            view = _view(run.positions, window, self._dtype)
            self._views[run.offset, window] = view
        return view

    def chunk_view(self, chunk: Chunk, window: int | None, *, end_key: int | None = None) -> KeyView:
        """The keys up to `end_key` (None: its own end) for a chunk or a part of one, with a `(length, keys)` mask."""
        end_key = end_key or chunk.end
        if chunk.start == 0 and chunk.end == end_key and (window is None or chunk.end <= window):
            return KeyView(0, chunk.end, None)
        view = self._chunk_views.get((chunk, window))
        if view is None:
            first_key = 0 if window is None else max(0, chunk.start - window + 1)
            positions = torch.arange(chunk.start, chunk.end)
            mask = _mask(positions, torch.arange(first_key, end_key), window, self._dtype)
            view = KeyView(first_key, end_key, mask)
            self._chunk_views[chunk, window] = view
        return view


def _is_early(positions: Tensor) -> bool:
    """Of a group's positions."""
    return int(positions[0]) < EARLY


def _keys_read(start: int, end: int) -> int:
    """By the tokens at the positions `start` up to `end`."""
    return max(0, end - start) * (start + 1 + end) // 2


def _rows_of(chunk: Chunk) -> RowWrite:
    slots = torch.full((chunk.length,), chunk.place.index)
    return RowWrite(chunk.place.capacity, chunk.offset, slots, torch.arange(chunk.start, chunk.end), is_chunk=True)


@dataclass(slots=True)
class _OpenRun:
    first: int
    total: int = 0
    longest: int = 0
    count: int = field(default=0)

    def take(self, length: int) -> None:
        self.count += 1
        self.total += length
        self.longest = max(self.longest, length)

    def waste_with(self, length: int) -> int:
        return max(self.longest, length) * (self.count + 1) - (self.total + length)

    @property
    def waste(self) -> int:
        return self.longest * self.count - self.total


def _neighbours(rows: Sequence[Span]) -> list[tuple[int, int]]:
    """Cut rows of one group into runs of adjacent slots with lengths that are worth reading together."""
    runs: list[tuple[int, int]] = []
    run = _OpenRun(0)
    for index, row in enumerate(rows):
        adjacent = index == 0 or row.place.index == rows[index - 1].place.index + 1
        worth_it = run.waste_with(row.end) - run.waste <= CALL_COST_POSITIONS
        if run.count and not (adjacent and worth_it):
            runs.append((run.first, index))
            run = _OpenRun(index)
        run.take(row.end)
    runs.append((run.first, len(rows)))
    return runs


def _view(positions: Tensor, window: int | None, dtype: torch.dtype) -> KeyView:
    shortest, longest = int(positions.min()), int(positions.max())
    first_key = 0 if window is None else max(0, shortest - window + 1)
    if shortest == longest:
        return KeyView(first_key, longest + 1, None)
    mask = _mask(positions, torch.arange(first_key, longest + 1), window, dtype)
    return KeyView(first_key, longest + 1, mask[:, None, None, :])


def _mask(queries: Tensor, keys: Tensor, window: int | None, dtype: torch.dtype) -> Tensor:
    # Compared, not subtracted: a whole number for each pair would take more memory than all else that attention needs.
    is_hidden = keys > queries[:, None]
    if window is not None:
        is_hidden |= keys <= queries[:, None] - window
    return torch.zeros(is_hidden.shape, dtype=dtype).masked_fill_(is_hidden, -torch.inf)
