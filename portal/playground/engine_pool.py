"""The engines of a worker within its memory: built when first needed, the least recently used given up for another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from django.conf import settings
from django.utils.module_loading import import_string

from inference.engine import Engine, EngineClosed, Listener
from inference.process_memory import available_memory
from portal.catalog.models import Variant
from portal.playground.adapter_shelf import AdapterShelf, NoRoom

logger = logging.getLogger(__name__)

HANG_S: Final = 3.0
# What is left to the system and to everything else in this process, where no budget is set.
SHARE_OF_AVAILABLE: Final = 0.8
GIBIBYTE: Final = 2**30


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes that an engine takes at most: `peak` while it loads or runs, `running` when it is loaded.

    `for_adapters` of both are kept for the adapters that it carries.
    """

    peak: int
    running: int
    for_adapters: int = 0


EngineFactory = Callable[[Variant, Listener], Engine]
FootprintReader = Callable[[Variant], Footprint]
AdapterLoader = Callable[[Variant, Engine], Engine]


@dataclass(slots=True, eq=False)
class Place:
    """A variant's place in the pool: its engine, None while that is built, and who uses it."""

    model_id: str
    is_pinned: bool
    footprint: Footprint
    engine: Engine | None = None
    error: BaseException | None = None
    borrowers: int = 0
    used_at: float = field(default_factory=time.monotonic)
    adapters: AdapterShelf = field(init=False)

    def __post_init__(self) -> None:
        self.adapters = AdapterShelf(self.footprint.for_adapters)

    @property
    def bytes_taken(self) -> int:
        return self.footprint.peak if self.engine is None else self.footprint.running

    @property
    def may_go(self) -> bool:
        return self.engine is not None and not self.borrowers and not self.is_pinned


class EnginePool:
    """Lends engines. One that is lent is never given up, and neither is one that the operator has pinned.

    Where there is no room for another engine, whoever wants it waits until lent ones come back. Waiting is in the order
    of arrival, and while somebody waits for room, nobody later is lent an engine but a pinned one. So a busy variant
    cannot keep another one out for ever, and a worker that is asked for more variants than it holds serves them in
    turns. An adapter runs in its base's engine, which is lent with it, and in the room that each engine of weights has
    for adapters.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._budget = settings.WORKER_MEMORY_BYTES or _usual_budget()
        self._places: dict[int, Place] = {}
        self._queue: list[object] = []
        self._changed = threading.Condition()
        self._is_closed = False

    @contextmanager
    def lend(self, variant: Variant) -> Iterator[Engine]:
        """The variant's engine for as long as the block runs; waits for it to be built, and for room.

        Raises EngineClosed after `close`, NoRoom, and whatever an engine raises that cannot be built: the next call
        tries again.
        """
        if not variant.is_adapter or variant.base is None:
            with self._lend_place(variant) as (_place, engine):
                yield engine
            return
        with self._lend_place(variant.base) as (place, base):
            load = partial(_load_adapter, variant, base)
            with place.adapters.lend(variant, _footprint(variant).running, load) as engine:
                yield engine

    @contextmanager
    def _lend_place(self, variant: Variant) -> Iterator[tuple[Place, Engine]]:
        place, victims = self._take(variant)
        try:
            if victims is not None:
                self._build(variant, place, victims)
            yield place, self._built(place)
        finally:
            with self._changed:
                place.borrowers -= 1
                place.used_at = time.monotonic()
                self._changed.notify_all()

    def holds(self, variant: Variant) -> bool:
        """Whether the variant's engine is there now, so that `lend` need not wait for it to be built."""
        place = self._places.get(variant.runs_on_id)
        return place is not None and place.engine is not None

    def warm(self, variant: Variant) -> bool:
        """Build the variant's engine, unless another would have to go for it; raises what `lend` raises."""
        weights = variant.runs_on
        footprint = _footprint(weights)
        with self._changed:
            if weights.pk not in self._places and footprint.peak > self._room():
                return False
        with self.lend(variant):
            return True

    def close(self, grace_s: float) -> None:
        """Close all engines at the same time; what they have not ended within `grace_s` they release.

        One that hangs is left behind after HANG_S more.
        """
        with self._changed:
            self._is_closed = True
            engines = [place.engine for place in self._places.values() if place.engine is not None]
            self._changed.notify_all()
        threads = [threading.Thread(target=engine.close, args=(grace_s,), daemon=True) for engine in engines]
        for thread in threads:
            thread.start()
        leave_at = time.monotonic() + grace_s + HANG_S
        for thread in threads:
            thread.join(max(0.0, leave_at - time.monotonic()))

    def _take(self, variant: Variant) -> tuple[Place, list[Place] | None]:
        """The variant's place with one borrower more; and if it is a new one, which engines go before its is built."""
        footprint = None if variant.pk in self._places else _footprint(variant)
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                while not self._is_closed:
                    place = self._places.get(variant.pk)
                    is_my_turn = self._queue[0] is ticket
                    if place is not None and (is_my_turn or place.is_pinned):
                        place.borrowers += 1
                        return place, None
                    if place is None:
                        # Given up while this one waited: read again, which takes milliseconds.
                        footprint = footprint or _footprint(variant)
                        self._require_possible(variant, footprint)
                        victims = self._victims(footprint.peak) if is_my_turn else None
                        if victims is not None:
                            return self._replace(victims, variant, footprint), victims
                    self._changed.wait()
                raise EngineClosed("The worker is ending.")
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _room(self) -> float:
        return self._budget - sum(place.bytes_taken for place in self._places.values())

    def _require_possible(self, variant: Variant, footprint: Footprint) -> None:
        pinned = sum(place.bytes_taken for place in self._places.values() if place.is_pinned)
        if footprint.peak > self._budget - pinned:
            raise NoRoom(
                f"{variant.model_id} needs {footprint.peak / GIBIBYTE:.1f} GiB of memory, and this worker has "
                f"{max(0, self._budget - pinned) / GIBIBYTE:.1f} GiB for it."
            )

    def _victims(self, wanted: int) -> list[Place] | None:
        """The engines to give up for so many bytes, the least recently used first; None while that is not enough."""
        victims: list[Place] = []
        room = self._room()
        for place in sorted(self._places.values(), key=lambda place: place.used_at):
            if room >= wanted:
                break
            if place.may_go:
                victims.append(place)
                room += place.bytes_taken
        return victims if room >= wanted else None

    def _replace(self, victims: list[Place], variant: Variant, footprint: Footprint) -> Place:
        self._places = {key: place for key, place in self._places.items() if place not in victims}
        is_pinned = variant.model_id in settings.WORKER_PINNED_VARIANTS
        place = Place(variant.model_id, is_pinned, footprint, borrowers=1)
        self._places[variant.pk] = place
        return place

    def _build(self, variant: Variant, place: Place, victims: list[Place]) -> None:
        try:
            for victim in victims:
                logger.info("%s is given up for %s", victim.model_id, place.model_id)
                if victim.engine is not None:
                    victim.engine.close(0)
                    victim.engine = None  # what it holds is freed now, not when the list of victims is
            factory: EngineFactory = import_string(settings.ENGINE_BACKENDS[variant.backend])
            engine = factory(variant, self._listener)
        except BaseException as error:
            with self._changed:
                place.error = error
                del self._places[variant.pk]
            raise
        with self._changed:
            place.engine = engine
            is_late = self._is_closed
        if is_late:
            engine.close(0)

    def _built(self, place: Place) -> Engine:
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: place.engine is not None or place.error is not None)
            if place.error is not None:
                raise place.error
            if place.engine is None or self._is_closed:
                raise EngineClosed("The worker is ending.")
            return place.engine


def _footprint(variant: Variant) -> Footprint:
    """Zero for a backend whose engines hold no weights."""
    entry_point = settings.ENGINE_FOOTPRINTS.get(variant.backend)
    if entry_point is None:
        return Footprint(0, 0)
    reader: FootprintReader = import_string(entry_point)
    return reader(variant)


def _load_adapter(variant: Variant, base: Engine) -> Engine:
    load: AdapterLoader = import_string(settings.ENGINE_ADAPTERS[variant.backend])
    return load(variant, base)


def _usual_budget() -> float:
    available = available_memory()
    return float("inf") if available is None else available * SHARE_OF_AVAILABLE
