"""A base's engine under an adapter's name: what goes in here is written with the adapter, in the base's own batches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from inference.engine import Engine, EngineClosed, GenerationRequest


class SharedEngine(Engine, Protocol):
    """An engine that can end one adapter's requests by themselves."""

    def end_adapter(self, adapter: str, grace_s: float) -> None:
        """Let the adapter's requests end for `grace_s` seconds and release the others."""


class AdaptedEngine:
    """Implements `Engine`; events go to the base's listener, and request ids are shared with the base."""

    def __init__(self, base: SharedEngine, adapter: str, facts: dict[str, object], detach: Callable[[], None]) -> None:
        self._base = base
        self._adapter = adapter
        self._facts = facts
        self._detach = detach
        self._is_closed = False
        self._lock = threading.Lock()

    def submit(self, request: GenerationRequest) -> None:
        """Take a request. Raises EngineClosed, or ValueError when `request_id` is already running."""
        with self._lock:
            if self._is_closed:
                raise EngineClosed("The adapter is closing and takes no more requests.")
            self._base.submit(replace(request, adapter=self._adapter))

    def cancel(self, request_id: str) -> None:
        """End a request after the current step, as Finished(cancelled). Unknown ids are ignored."""
        self._base.cancel(request_id)

    def close(self, grace_s: float) -> None:
        """Refuse new requests, end this adapter's as the base's `close` does, free its weights; the base runs on."""
        with self._lock:
            self._is_closed = True
        self._base.end_adapter(self._adapter, grace_s)
        self._detach()

    def provenance(self) -> dict[str, object]:
        """The base's, and the adapter's name, digest, rank and alpha."""
        return self._base.provenance() | {"adapter": dict(self._facts)}
