"""The engines of a worker: one per variant, built when first needed, by what settings.ENGINE_BACKENDS names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from inference.engine import Engine, EngineClosed, Listener
from portal.catalog.models import Variant

HANG_S: Final = 3.0

EngineFactory = Callable[[Variant, Listener], Engine]


class EnginePool:
    """Builds each variant's engine once, however many tasks ask at the same time."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._engines: dict[int, Engine] = {}
        self._building: dict[int, threading.Lock] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def engine_for(self, variant: Variant) -> Engine:
        """Raises EngineClosed after `close`, and whatever an engine raises that cannot be built: the next call tries
        again."""
        with self._lock:
            building = self._building.setdefault(variant.pk, threading.Lock())
        with building:
            engine = self._engines.get(variant.pk)
            if engine is None and not self._is_closed:
                factory: EngineFactory = import_string(settings.ENGINE_BACKENDS[variant.backend])
                engine = self._engines[variant.pk] = factory(variant, self._listener)
            if engine is None or self._is_closed:
                raise EngineClosed("The worker is ending.")
            return engine

    def close(self, grace_s: float) -> None:
        """Close all engines at the same time; what they have not ended within `grace_s` they release.

        One that hangs is left behind after HANG_S more.
        """
        self._is_closed = True
        threads = [
            threading.Thread(target=engine.close, args=(grace_s,), daemon=True)
            for engine in list(self._engines.values())
        ]
        for thread in threads:
            thread.start()
        leave_at = time.monotonic() + grace_s + HANG_S
        for thread in threads:
            thread.join(max(0.0, leave_at - time.monotonic()))


def transformers_engine(variant: Variant, listener: Listener) -> Engine:
    """Local weights, through transformers and torch."""
    # Here and not above: the web process imports this module by way of the tasks, and must not load torch.
    from inference.transformers_engine import load_engine  # noqa: PLC0415

    folder = Path(variant.source)
    return load_engine(
        folder if folder.is_absolute() else settings.STEELYARD_HOME / folder,
        listener=listener,
        dtype=variant.dtype or "bfloat16",
        max_batch=settings.WORKER_CONCURRENCY,
        threads=settings.WORKER_THREADS,
    )


def upstream_engine(variant: Variant, listener: Listener) -> Engine:
    """An OpenAI-compatible server. Raises ImproperlyConfigured when its key is not in this worker's settings.

    The key goes to the address that the variant was imported from, and to no other.
    """
    # Here and not above, as the engine of local weights: the web process sends no prompts.
    from inference.upstream_client import UpstreamPatience  # noqa: PLC0415
    from inference.upstream_engine import UpstreamEngine  # noqa: PLC0415
    from inference.upstream_request import DIALECTS, UNKNOWN  # noqa: PLC0415

    facts = variant.facts
    if variant.source != facts.get("upstream_url"):
        raise ImproperlyConfigured(f"{variant.model_id} was imported from another address; import it again.")
    name = facts.get("upstream_key", "")
    if name and name not in settings.UPSTREAM_API_KEYS:
        raise ImproperlyConfigured(f"UPSTREAM_API_KEYS has no key named {name}, which {variant.model_id} needs.")
    return UpstreamEngine(
        listener,
        base_url=variant.source,
        model=facts["upstream_model"],
        dialect=DIALECTS.get(facts.get("server", ""), UNKNOWN),
        key=settings.UPSTREAM_API_KEYS.get(name),
        patience=UpstreamPatience(
            connect_s=settings.UPSTREAM_CONNECT_S,
            first_byte_s=settings.UPSTREAM_FIRST_BYTE_S,
            between_pieces_s=settings.UPSTREAM_SILENCE_S,
        ),
    )
