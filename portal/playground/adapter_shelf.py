"""The adapters loaded beside one base's weights: in a room of fixed size, the least recently used goes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from inference.engine import Engine
from portal.catalog.models import Variant


class NoRoom(RuntimeError):
    """What is wanted can never fit into this worker's memory; the message is for the person who asked."""


@dataclass(slots=True, eq=False)
class LoadedAdapter:
    """An adapter's engine, None while it is loaded, and who uses it."""

    size: int
    engine: Engine | None = None
    borrowers: int = 1
    used_at: float = field(default_factory=time.monotonic)


class AdapterShelf:
    """Lends the engines of a base's adapters. One that is lent is never given up; who finds no room waits for one."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._loaded: dict[int, LoadedAdapter] = {}
        self._changed = threading.Condition()

    @contextmanager
    def lend(self, variant: Variant, size: int, load: Callable[[], Engine]) -> Iterator[Engine]:
        """The adapter's engine for as long as the block runs, in which the base's engine must stay.

        Raises NoRoom, and whatever `load` raises: the next call tries again.
        """
        if size > self._room:
            raise NoRoom(
                f"{variant.model_id} needs {size / 2**20:.0f} MiB of memory, and {self._room / 2**20:.0f} MiB are kept "
                "for its base's adapters."
            )
        adapter = self._take(variant.pk, size)
        try:
            yield self._ready(variant.pk, adapter, load)
        finally:
            with self._changed:
                adapter.borrowers -= 1
                adapter.used_at = time.monotonic()
                self._changed.notify_all()

    def _take(self, key: int, size: int) -> LoadedAdapter:
        with self._changed:
            while True:
                known = self._loaded.get(key)
                if known is not None:
                    known.borrowers += 1
                    return known
                if self._make_room(size):
                    self._loaded[key] = LoadedAdapter(size)
                    return self._loaded[key]
                self._changed.wait()

    def _make_room(self, size: int) -> bool:
        idle = sorted((each.used_at, key) for key, each in self._loaded.items() if not each.borrowers)
        while size > self._room - sum(each.size for each in self._loaded.values()):
            if not idle:
                return False
            _used_at, key = idle.pop(0)
            engine = self._loaded.pop(key).engine
            if engine is not None:
                engine.close(0)  # nobody uses it, so there is nothing to wait for
        return True

    def _ready(self, key: int, adapter: LoadedAdapter, load: Callable[[], Engine]) -> Engine:
        # Loading is reading a small file: whoever else wants an adapter of this base may wait for it.
        with self._changed:
            if adapter.engine is None:
                try:
                    adapter.engine = load()
                except BaseException:
                    self._loaded.pop(key, None)
                    raise
            return adapter.engine
