"""Memory for keys and values: a slot per running request, within a budget counted in token positions.

Slots of one capacity lie side by side in one tensor per layer, so that a batch reads them without gathering. Groups
grow when requests come and shrink when another group needs the room; their sum never exceeds the budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor

SMALLEST_CAPACITY: Final = 256


@dataclass(frozen=True, slots=True)
class Place:
    """A slot: the group of that capacity, and the row in it."""

    capacity: int
    index: int


@dataclass(slots=True)
class Group:
    """Slots of one capacity. `layers[i]` holds the `(slots, heads, capacity, size)` tensors of layer i."""

    capacity: int
    size: int = 0
    used: dict[int, int] = field(default_factory=dict)
    layers: dict[int, tuple[Tensor, ...]] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        return self.size * self.capacity

    def free_index(self) -> int | None:
        return next((index for index in range(self.size) if index not in self.used), None)

    def resize(self, size: int) -> None:
        """Change the number of slots; those in use must fit. Copies what they hold, so that only one layer is twice
        in memory at a time.

        When memory ends in the middle, the layers before that point are larger or smaller than the others, which does
        no harm: the group counts no more slots than every layer has.
        """
        self.size = min(self.size, size)
        for number, tensors in self.layers.items():
            self.layers[number] = tuple(self._moved(tensor, size) for tensor in tensors)
        self.size = size

    def _moved(self, old: Tensor, size: int) -> Tensor:
        new = old.new_zeros((size, *old.shape[1:]))
        for index, length in self.used.items():
            new[index, :, :length] = old[index, :, :length]
        return new


LayerTensors = dict[int, tuple[Tensor, ...]]


class Tenant(Protocol):
    """Whoever uses positions of the budget that no slot needs, and gives them up on demand."""

    @property
    def positions(self) -> int: ...

    def give_up(self, positions: int) -> None:
        """Free at least so many positions, or all."""


class KeyValueSlots:
    """Hands out slots. Not thread-safe: the engine's thread alone uses it."""

    def __init__(self, *, budget: int, longest: int) -> None:
        """`budget` positions in all, `longest` positions for one request. Raises ValueError when not positive."""
        if budget < 1 or longest < 1:
            raise ValueError(f"budget and longest must be positive, not {budget} and {longest}")
        self.budget = budget
        self.longest = min(longest, budget)
        self._groups: dict[int, Group] = {}
        self._tenant: Tenant | None = None

    def let(self, tenant: Tenant) -> None:
        """Allow a tenant to use what is left of the budget."""
        self._tenant = tenant

    @property
    def room(self) -> int:
        """Positions of the budget that neither slots nor the tenant use."""
        return self.budget - self.positions - (self._tenant.positions if self._tenant is not None else 0)

    @property
    def positions(self) -> int:
        """Positions that memory is held for."""
        return sum(group.positions for group in self._groups.values())

    @property
    def bytes_held(self) -> int:
        """Bytes of all key and value tensors."""
        tensors = (tensor for group in self._groups.values() for layer in group.layers.values() for tensor in layer)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def fits(self, length: int) -> bool:
        """Whether a request of `length` positions could ever run here."""
        return length <= self.longest

    def take(self, length: int) -> Place | None:
        """A slot for `length` positions, or None while the budget is spent. Raises ValueError when it never fits."""
        if not self.fits(length):
            raise ValueError(f"{length} positions exceed the longest slot of {self.longest}")
        group = self._group(self._capacity(length))
        index = group.free_index()
        if index is None:
            if not self._grow(group):
                return None
            index = group.free_index()
            assert index is not None
        group.used[index] = 0
        return Place(group.capacity, index)

    def give_back(self, place: Place, *, wipe: bool = False) -> None:
        """The slot is free; what it held may be overwritten. `wipe` zeroes what may not be finite numbers."""
        group = self._groups[place.capacity]
        group.used.pop(place.index, None)
        if wipe:
            for layer in group.layers.values():
                for tensor in layer:
                    tensor[place.index].zero_()

    def wipe_from(self, place: Place, position: int) -> None:
        """Zero a slot from a position on: what may not be finite numbers spoils even those that do not look at it."""
        for layer in self._groups[place.capacity].layers.values():
            for tensor in layer:
                tensor[place.index, :, position:].zero_()

    def note_length(self, place: Place, length: int) -> None:
        """Say how many positions of a slot hold something, so that moving it copies no more."""
        self._groups[place.capacity].used[place.index] = length

    def layer(self, capacity: int, number: int, *examples: Tensor) -> tuple[Tensor, ...]:
        """The tensors of layer `number` in a group, made like the `(1, heads, tokens, size)` examples if need be."""
        group = self._groups[capacity]
        layer = group.layers.get(number)
        if layer is None:
            layer = tuple(_room(group, example) for example in examples)
            group.layers[number] = layer
        return layer

    def existing_layer(self, capacity: int, number: int) -> tuple[Tensor, ...]:
        """The tensors of layer `number` in a group. Raises KeyError before the first write."""
        return self._groups[capacity].layers[number]

    def read(self, place: Place, length: int) -> LayerTensors:
        """A copy of the first `length` positions of all layers, each `(heads, length, size)`."""
        layers = self._groups[place.capacity].layers
        return {
            number: tuple(tensor[place.index, :, :length].clone() for tensor in tensors)
            for number, tensors in layers.items()
        }

    def write(self, place: Place, layers: LayerTensors, length: int) -> None:
        """Fill the first `length` positions of a slot from what `read` gave."""
        for number, tensors in layers.items():
            stored = self.layer(place.capacity, number, *(tensor.unsqueeze(0) for tensor in tensors))
            for tensor, source in zip(stored, tensors, strict=True):
                tensor[place.index, :, :length] = source[:, :length]
        self.note_length(place, length)

    def clear(self) -> None:
        """Free all memory; every place is void."""
        self._groups.clear()

    def _capacity(self, length: int) -> int:
        capacity = SMALLEST_CAPACITY
        while capacity < length:
            capacity *= 2
        return min(capacity, self.longest)

    def _group(self, capacity: int) -> Group:
        return self._groups.setdefault(capacity, Group(capacity))

    def _grow(self, group: Group) -> bool:
        # Doubling makes the copying cost of growth a constant per slot.
        for more in _halvings(max(1, group.size)):
            if more * group.capacity <= self.room:
                group.resize(group.size + more)
                return True
        self._shrink_others(group)
        if group.capacity > self.room and self._tenant is not None:
            self._tenant.give_up(group.capacity - self.room)
        if group.capacity > self.room:
            return False
        group.resize(group.size + 1)
        return True

    def _shrink_others(self, keep: Group) -> None:
        for group in list(self._groups.values()):
            needed = max(group.used, default=-1) + 1
            if group is keep or needed == group.size:
                continue
            if needed == 0:
                del self._groups[group.capacity]
            else:
                group.resize(needed)


def _halvings(number: int) -> Iterable[int]:
    while number:
        yield number
        number //= 2


def _room(group: Group, example: Tensor) -> Tensor:
    # Zeros, not empty: a masked position still takes part as 0 times its value, and 0 times NaN is NaN.
    heads, size = example.shape[1], example.shape[3]
    return torch.zeros((group.size, heads, group.capacity, size), dtype=example.dtype, device=example.device)
