"""Slots never exceed their budget, never overlap, and keep what they hold while memory moves around them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inference.key_value_slots import KeyValueSlots, Place

BUDGET = 4_000
LONGEST = 1_500
EXAMPLE = torch.zeros(1, 2, 1, 3)


class SlotsMachine(RuleBasedStateMachine):
    """Takes, fills and gives back slots in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = KeyValueSlots(budget=BUDGET, longest=LONGEST)
        self.held: dict[Place, tuple[int, float]] = {}
        self.marks = iter(range(1, 10_000))

    @rule(length=st.integers(1, LONGEST))
    def take(self, length: int) -> None:
        place = self.slots.take(length)
        if place is None:
            return
        assert place not in self.held
        assert place.capacity >= length
        mark = float(next(self.marks))
        for layer in range(2):
            keys, values = self.slots.layer(place.capacity, layer, EXAMPLE, EXAMPLE)
            keys[place.index, :, :length] = mark
            values[place.index, :, :length] = -mark
        self.slots.note_length(place, length)
        self.held[place] = (length, mark)

    @precondition(lambda self: bool(self.held))
    @rule(data=st.data(), wipe=st.booleans())
    def give_back(self, data: st.DataObject, wipe: bool) -> None:
        place = data.draw(st.sampled_from(sorted(self.held, key=repr)))
        del self.held[place]
        self.slots.give_back(place, wipe=wipe)

    @invariant()
    def the_budget_is_kept(self) -> None:
        assert self.slots.positions <= BUDGET

    @invariant()
    def contents_are_kept(self) -> None:
        for place, (length, mark) in self.held.items():
            keys, values = self.slots.existing_layer(place.capacity, 1)
            assert bool((keys[place.index, :, :length] == mark).all())
            assert bool((values[place.index, :, :length] == -mark).all())


TestSlots = SlotsMachine.TestCase
TestSlots.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


def test_an_empty_store_has_room_for_the_longest_request() -> None:
    slots = KeyValueSlots(budget=BUDGET, longest=LONGEST)
    held = []
    while (place := slots.take(10)) is not None:
        held.append(place)
    assert slots.take(LONGEST) is None
    for place in held:
        slots.give_back(place)
    assert slots.take(LONGEST) is not None


def test_what_never_fits_is_refused() -> None:
    slots = KeyValueSlots(budget=100, longest=1_000)
    assert not slots.fits(101)
    with pytest.raises(ValueError, match="longest"):
        slots.take(101)


def test_what_was_read_from_a_slot_can_be_written_to_another() -> None:
    slots = KeyValueSlots(budget=BUDGET, longest=LONGEST)
    source, destination = slots.take(100), slots.take(600)
    assert source is not None
    assert destination is not None
    (keys,) = slots.layer(source.capacity, 0, EXAMPLE)
    keys[source.index, :, :50] = 4
    content = slots.read(source, 50)
    keys[source.index] = 5
    slots.write(destination, content, 40)
    (copied,) = slots.existing_layer(destination.capacity, 0)
    assert bool((copied[destination.index, :, :40] == 4).all())
    assert not copied[destination.index, :, 40:].any()
