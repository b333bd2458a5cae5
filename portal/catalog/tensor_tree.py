"""A model's tensors as a tree along their names, equal layers grouped: rows come in, what the page shows goes out.

`model.layers.0.mlp.up_proj.weight` is a leaf five branches deep. Layers (or experts) with the same tensors of the same
shapes and types are shown once with their number, so that a model of 100,000 tensors is read on one page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from portal.catalog.tensor_rows import TensorRow

# A name may hold a million dots; the page is a table, and nobody reads ten thousand rows of one.
MAX_DEPTH: Final = 20
MAX_BRANCH_ROWS: Final = 500
MAX_ROWS: Final = 3_000
MAX_RANGES: Final = 6
OPEN_LEVELS: Final = 2
SMALL_TREE: Final = 80


@dataclass(slots=True)
class Branch:
    """A name, or part of one, with all that lies below it. Numbers are those of one occurrence; there are `times`."""

    label: str
    tensor: TensorRow | None = None
    times: int = 1
    children: list[Branch] = field(default_factory=list)
    tensors: int = 0
    values: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TreeStep:
    """One step through the tree in reading order: open a branch, show a tensor, close the branch; or cut it short.

    `repeats` counts the equal branches that this one stands for, `times` all occurrences in the file, and
    `total_bytes` is of all of them.
    A cut says how many rows of its branch are `left_out`.
    """

    kind: str
    label: str = ""
    tensor: TensorRow | None = None
    repeats: int = 1
    times: int = 1
    tensors: int = 0
    size_bytes: int = 0
    total_bytes: int = 0
    is_open: bool = False
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class TypeShare:
    """How much of a file is stored in one type."""

    dtype: str
    tensors: int
    values: int
    size_bytes: int


@lru_cache(maxsize=16)
def tree_steps(rows: tuple[TensorRow, ...]) -> tuple[TreeStep, ...]:
    """The whole tree, flat; every `open` has its `close`."""
    root = _tree(rows)
    room = [MAX_ROWS]
    steps = tuple(_steps(root.children, 1, 1, room))
    # What fits on a screen or two is shown at once.
    return tuple(replace(step, is_open=True) for step in steps) if len(steps) <= SMALL_TREE else steps


def type_shares(rows: Iterable[TensorRow]) -> list[TypeShare]:
    """What the file stores in each type, most bytes first."""
    tensors: Counter[str] = Counter()
    values: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for row in rows:
        tensors[row.dtype] += 1
        values[row.dtype] += row.values
        sizes[row.dtype] += row.size_bytes
    return [TypeShare(dtype, tensors[dtype], values[dtype], size) for dtype, size in sizes.most_common()]


# --- From names to branches


@dataclass(slots=True)
class _Place:
    """A node while the tree grows: a name may be both a tensor and the beginning of other names."""

    tensor: TensorRow | None = None
    below: dict[str, _Place] = field(default_factory=dict)


def _tree(rows: Sequence[TensorRow]) -> Branch:
    top = _Place()
    for row in rows:
        place = top
        for part in row.name.split(".", MAX_DEPTH - 1):
            place = place.below.setdefault(part, _Place())
        place.tensor = row
    branches = _Grouping().branches(top)
    return _summed(Branch("", children=branches))


Signature = tuple[object, ...]


class _Grouping:
    """Gives equal branches equal numbers, so that comparing two is comparing two numbers, whatever their size."""

    def __init__(self) -> None:
        self._numbers: dict[Signature, int] = {}

    def branches(self, place: _Place) -> list[Branch]:
        return [branch for branch, _ in self._children(place)]

    def _children(self, place: _Place) -> list[tuple[Branch, int]]:
        found: list[tuple[Branch, int]] = []
        alike: dict[int, tuple[int, list[int]]] = {}
        for part, below in sorted(place.below.items(), key=lambda item: _number(item[0])):
            for branch, signature in self._read(part, below):
                number = _number(part)
                if number >= 0 and signature in alike:
                    alike[signature][1].append(number)
                    continue
                if number >= 0:
                    alike[signature] = (len(found), [number])
                found.append((branch, signature))
        for position, numbers in alike.values():
            if len(numbers) > 1:
                branch, signature = found[position]
                branch.label = number_ranges(numbers)
                branch.times = len(numbers)
                found[position] = (branch, self._numbered(("group", len(numbers), signature)))
        return found

    def _read(self, part: str, place: _Place) -> Iterator[tuple[Branch, int]]:
        """The branch of one name part; two where the part is a tensor's whole name and goes on in others."""
        if place.tensor is not None:
            row = place.tensor
            leaf = Branch(part, row, tensors=1, values=row.values, size_bytes=row.size_bytes)
            yield leaf, self._numbered(("tensor", row.dtype, row.shape))
        if place.below:
            children = self._children(place)
            signature = self._numbered(tuple((branch.label, number) for branch, number in children))
            only = children[0][0] if len(children) == 1 else None
            # A number stays a branch of its own, so that equal ones can be grouped under their numbers.
            if only is not None and only.times == 1 and _number(part) < 0:
                only.label = f"{part}.{only.label}"
                yield only, signature
            else:
                yield _summed(Branch(part, children=[branch for branch, _ in children])), signature

    def _numbered(self, signature: Signature) -> int:
        return self._numbers.setdefault(signature, len(self._numbers))


def _summed(branch: Branch) -> Branch:
    branch.tensors = sum(child.tensors * child.times for child in branch.children)
    branch.values = sum(child.values * child.times for child in branch.children)
    branch.size_bytes = sum(child.size_bytes * child.times for child in branch.children)
    return branch


def _number(part: str) -> int:
    """A layer's or expert's number; -1 for a name."""
    return int(part) if part.isascii() and part.isdigit() and len(part) <= 9 and part == str(int(part)) else -1


def number_ranges(numbers: Sequence[int]) -> str:
    """Runs of numbers as their ends: 0 to 29 is one run. The middle of a long list of runs is left out."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [f"{first}" if first == last else f"{first}\N{EN DASH}{last}" for first, last in ranges]
    if len(texts) > MAX_RANGES:
        texts = [*texts[: MAX_RANGES - 2], "…", texts[-1]]
    return ", ".join(texts)


# --- From branches to steps


def _steps(branches: list[Branch], level: int, times: int, room: list[int]) -> Iterator[TreeStep]:
    shown = 0
    for branch in branches[:MAX_BRANCH_ROWS]:
        if not room[0]:
            break
        room[0] -= 1
        shown += 1
        all_times = times * branch.times
        yield TreeStep(
            kind="tensor" if branch.tensor else "open",
            label=branch.label,
            tensor=branch.tensor,
            repeats=branch.times,
            times=all_times,
            tensors=branch.tensors * all_times,
            size_bytes=branch.size_bytes,
            total_bytes=branch.size_bytes * all_times,
            is_open=level < OPEN_LEVELS and len(branch.children) <= MAX_BRANCH_ROWS // 10,
        )
        if branch.tensor is None:
            yield from _steps(branch.children, level + 1, all_times, room)
            yield TreeStep("close")
    if shown < len(branches):
        yield TreeStep("cut", left_out=len(branches) - shown)
