"""A worker's engines share its memory: lent and pinned ones stay, the least recently used goes, nobody starves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from inference.engine import EngineClosed
from inference.events import Emission
from portal.catalog.models import ModelCard, Variant
from portal.playground.adapter_shelf import NoRoom
from portal.playground.engine_pool import EnginePool, Footprint
from tests.services.installation import eventually

PATIENCE_S = 60.0
FOOTPRINTS = {"a": 40, "b": 40, "c": 40, "huge": 101}


class StandInEngine:
    """Says when it was closed."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self._log = log

    def close(self, grace_s: float) -> None:
        self._log.append(f"close {self.name}")


class Factory:
    """Makes stand-ins and writes down in which order; holds a variant's building up, or fails it, when told to."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.errors: dict[str, Exception] = {}

    def __call__(self, variant: Variant, listener: Callable[[Sequence[Emission]], None]) -> Any:
        self.log.append(f"build {variant.slug}")
        if variant.slug in self.gates:
            assert self.gates[variant.slug].wait(PATIENCE_S)
        if variant.slug in self.errors:
            raise self.errors[variant.slug]
        return StandInEngine(variant.slug, self.log)


factory = Factory()


def make_engine(variant: Variant, listener: Callable[[Sequence[Emission]], None]) -> Any:
    return factory(variant, listener)


def read_footprint(variant: Variant) -> Footprint:
    size = FOOTPRINTS[variant.slug]
    return Footprint(peak=size, running=size)


@pytest.fixture(autouse=True)
def _engines(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.factory", Factory())
    settings.ENGINE_BACKENDS = {"stand-in": f"{__name__}.make_engine"}
    settings.ENGINE_FOOTPRINTS = {"stand-in": f"{__name__}.read_footprint"}
    settings.WORKER_MEMORY_BYTES = 100
    settings.WORKER_PINNED_VARIANTS = []


@pytest.fixture
def pool() -> Iterator[EnginePool]:
    pool = EnginePool(lambda _emissions: None)
    yield pool
    pool.close(0)


def variant(slug: str) -> Variant:
    card = ModelCard(owner_name="steelyard", slug="card")
    return Variant(pk=sorted(FOOTPRINTS).index(slug) + 1, card=card, slug=slug, backend="stand-in")


def use(pool: EnginePool, slug: str) -> str:
    with pool.lend(variant(slug)) as engine:
        return str(engine.name)  # type: ignore[attr-defined]


class Visitor(threading.Thread):
    """Borrows an engine in a thread of its own and keeps it until told to go."""

    def __init__(self, pool: EnginePool, slug: str) -> None:
        super().__init__(daemon=True)
        self._pool, self._slug = pool, slug
        self.has_it = threading.Event()
        self.may_go = threading.Event()
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._pool.lend(variant(self._slug)):
                self.has_it.set()
                assert self.may_go.wait(PATIENCE_S)
        except BaseException as error:
            self.error = error
            if not isinstance(error, Exception):
                raise

    def leave(self) -> None:
        self.may_go.set()
        self.join(PATIENCE_S)


def waits(pool: EnginePool, visitors: int) -> None:
    eventually(lambda: len(pool._queue) == visitors, PATIENCE_S, f"{visitors} visitors wait")


def test_an_engine_is_built_once_and_kept(pool: EnginePool) -> None:
    assert [use(pool, "a"), use(pool, "b"), use(pool, "a")] == ["a", "b", "a"]
    assert factory.log == ["build a", "build b"]


def test_an_engine_is_held_from_when_it_is_built(pool: EnginePool) -> None:
    factory.gates["a"] = threading.Event()
    visitor = Visitor(pool, "a")
    eventually(lambda: factory.log == ["build a"], PATIENCE_S, "the engine is being built")
    assert not pool.holds(variant("a"))
    factory.gates["a"].set()
    assert visitor.has_it.wait(PATIENCE_S)
    assert pool.holds(variant("a"))
    assert not pool.holds(variant("b"))
    visitor.leave()


def test_the_least_recently_used_makes_room_before_the_other_is_built(pool: EnginePool) -> None:
    for slug in ("a", "b", "a", "c"):
        use(pool, slug)
    assert factory.log == ["build a", "build b", "close b", "build c"]


def test_a_pinned_one_stays(pool: EnginePool, settings: Any) -> None:
    settings.WORKER_PINNED_VARIANTS = ["steelyard/card:a"]
    for slug in ("a", "b", "c", "b", "a"):
        use(pool, slug)
    assert factory.log == ["build a", "build b", "close b", "build c", "close c", "build b"]


def test_a_lent_one_stays_even_if_it_was_used_least_recently(pool: EnginePool) -> None:
    with pool.lend(variant("a")):
        use(pool, "b")
        use(pool, "c")
    assert factory.log == ["build a", "build b", "close b", "build c"]


def test_who_finds_no_room_waits_for_the_first_that_comes_back(pool: EnginePool) -> None:
    holders = [Visitor(pool, "a"), Visitor(pool, "b")]
    assert all(holder.has_it.wait(PATIENCE_S) for holder in holders)
    newcomer = Visitor(pool, "c")
    waits(pool, 1)
    assert not newcomer.has_it.is_set()
    holders[1].leave()
    assert newcomer.has_it.wait(PATIENCE_S)
    assert factory.log[2:] == ["close b", "build c"]
    newcomer.leave()
    holders[0].leave()


def test_a_busy_variant_cannot_keep_another_out(pool: EnginePool) -> None:
    holders = [Visitor(pool, "a"), Visitor(pool, "b")]
    assert all(holder.has_it.wait(PATIENCE_S) for holder in holders)
    newcomer = Visitor(pool, "c")
    waits(pool, 1)
    later = Visitor(pool, "a")
    waits(pool, 2)
    holders[0].leave()
    assert newcomer.has_it.wait(PATIENCE_S)
    assert not later.has_it.is_set()
    newcomer.leave()
    assert later.has_it.wait(PATIENCE_S)
    later.leave()
    holders[1].leave()
    assert factory.log[2:] == ["close a", "build c", "close c", "build a"]


def test_a_pinned_one_is_lent_while_others_wait(pool: EnginePool, settings: Any) -> None:
    settings.WORKER_PINNED_VARIANTS = ["steelyard/card:a"]
    use(pool, "a")
    holder = Visitor(pool, "b")
    assert holder.has_it.wait(PATIENCE_S)
    newcomer = Visitor(pool, "c")
    waits(pool, 1)
    assert use(pool, "a") == "a"
    holder.leave()
    assert newcomer.has_it.wait(PATIENCE_S)
    newcomer.leave()


def test_what_can_never_fit_is_refused_at_once_and_nothing_goes_for_it(pool: EnginePool) -> None:
    use(pool, "a")
    with pytest.raises(NoRoom, match="steelyard/card:huge needs"):
        use(pool, "huge")
    assert use(pool, "a") == "a"
    assert factory.log == ["build a"]


def test_all_who_ask_meanwhile_share_one_building(pool: EnginePool) -> None:
    factory.gates["a"] = threading.Event()
    visitors = [Visitor(pool, "a") for _ in range(3)]
    eventually(lambda: factory.log, PATIENCE_S, "building begins")
    factory.gates["a"].set()
    assert all(visitor.has_it.wait(PATIENCE_S) for visitor in visitors)
    for visitor in visitors:
        visitor.leave()
    assert factory.log == ["build a"]


def test_one_that_is_being_built_holds_nobody_else_up(pool: EnginePool) -> None:
    factory.gates["a"] = threading.Event()
    slow = Visitor(pool, "a")
    eventually(lambda: factory.log, PATIENCE_S, "building begins")
    assert use(pool, "b") == "b"
    factory.gates["a"].set()
    slow.leave()


def test_a_failed_building_is_tried_again_and_takes_no_memory(pool: EnginePool) -> None:
    factory.errors["a"] = ValueError("spoilt")
    with pytest.raises(ValueError, match="spoilt"):
        use(pool, "a")
    with ExitStack() as lent:
        for slug in ("b", "c"):
            lent.enter_context(pool.lend(variant(slug)))
    factory.errors.clear()
    assert use(pool, "a") == "a"


def test_warming_up_gives_nothing_up(pool: EnginePool) -> None:
    assert [pool.warm(variant(slug)) for slug in ("a", "b", "c", "a")] == [True, True, False, True]
    assert factory.log == ["build a", "build b"]


def test_closing_ends_those_who_wait_and_closes_what_is_there(pool: EnginePool) -> None:
    holders = [Visitor(pool, "a"), Visitor(pool, "b")]
    assert all(holder.has_it.wait(PATIENCE_S) for holder in holders)
    newcomer = Visitor(pool, "c")
    waits(pool, 1)
    pool.close(0)
    newcomer.join(PATIENCE_S)
    assert isinstance(newcomer.error, EngineClosed)
    assert sorted(factory.log[2:]) == ["close a", "close b"]
    with pytest.raises(EngineClosed):
        use(pool, "a")
    for holder in holders:
        holder.leave()


def test_one_that_is_built_too_late_is_closed(pool: EnginePool) -> None:
    factory.gates["a"] = threading.Event()
    late = Visitor(pool, "a")
    eventually(lambda: factory.log, PATIENCE_S, "building begins")
    pool.close(0)
    factory.gates["a"].set()
    late.join(PATIENCE_S)
    assert isinstance(late.error, EngineClosed)
    assert factory.log == ["build a", "close a"]


def test_a_backend_without_weights_needs_no_room(pool: EnginePool, settings: Any) -> None:
    settings.ENGINE_FOOTPRINTS = {}
    for slug in FOOTPRINTS:
        use(pool, slug)
    assert not any(entry.startswith("close") for entry in factory.log)
