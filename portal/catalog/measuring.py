"""Measures a variant on this installation, its number format's cost and its speed, and keeps that in its facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from inference.engine import Engine, Listener
from inference.machine import describe_machine
from inference.process_memory import available_memory
from inference.speed import CannotMeasure, measure_speed
from portal.catalog.measured_facts import MEASURED
from portal.catalog.models import Backend, Variant

# Where the speed's part of the work begins; reading the text in two formats takes about as long.
_QUALITY_SHARE: Final = 0.5

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured, in the form that the facts keep, and whether that happened now."""

    record: dict[str, Any]
    is_new: bool


def measure_variant(variant: Variant, *, again: bool = False, on_progress: Progress | None = None) -> Measurement:
    """Measure a variant and keep the result; one of the same weights and libraries is kept unless `again`.

    The engine is made here, beside those of running workers, whose work slows it down: the machine's load is part of
    the record. Raises CannotMeasure, and whatever making the engine raises; then the facts stay as they are.
    """
    report = on_progress or (lambda _share, _stage: None)
    key = _key(variant)
    known = variant.facts.get(MEASURED)
    if not again and isinstance(known, dict) and known.get("key") == key:
        return Measurement(known, is_new=False)
    machine = describe_machine()
    share = _QUALITY_SHARE if variant.backend == Backend.TRANSFORMERS else 0.0
    quality = _quality(variant, lambda done, stage: report(share * done, stage)) if share else None
    provenance: dict[str, object] = {}
    with ExitStack() as closing:

        def make(listener: Listener) -> Engine:
            engine = _engine(variant, listener, closing)
            provenance.update(engine.provenance())
            return engine

        speed = measure_speed(
            make,
            takes_min_tokens=variant.backend == Backend.TRANSFORMERS,
            on_progress=lambda done, stage: report(share + (1 - share) * done, stage),
        )
    record: dict[str, Any] = {
        "key": key,
        "measured_at": timezone.now().isoformat(timespec="seconds"),
        "machine": machine,
        "engine": {name: provenance.get(name) for name in ("engine", "dtype", "forward", "threads", "libraries")},
        "speed": asdict(speed),
        "quality": quality,
    }
    _keep(variant, record)
    report(1.0, "done")
    return Measurement(record, is_new=True)


def _adapted(variant: Variant) -> Variant | None:
    """The base that an adapter runs on; None for weights of their own."""
    return variant.base if variant.is_adapter else None


def _key(variant: Variant) -> str:
    """Changes with whatever changes the figures, the machine aside."""
    base = _adapted(variant)
    parts = {
        "digests": variant.digests,
        "base": base.digests if base else None,
        "dtype": variant.dtype,
        "source": variant.source if variant.backend == Backend.OPENAI else None,
        "libraries": {name: version(name) for name in ("torch", "transformers")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _quality(variant: Variant, on_progress: Progress) -> dict[str, Any]:
    # Like everything that loads torch: not before it is needed.
    from inference.quality import measure_quality  # noqa: PLC0415
    from inference.transformers_engine import estimate_memory  # noqa: PLC0415

    weights = _adapted(variant) or variant
    folder = weights.folder
    assert folder is not None
    dtype = weights.dtype or "bfloat16"
    need = estimate_memory(folder, dtype="float32", max_batch=1).loading + estimate_memory(folder, dtype=dtype).peak
    available = available_memory()
    if available is not None and need > available:
        raise CannotMeasure(
            f"Comparing {variant.model_id} with float32 needs {need / 2**30:.1f} GiB of memory, and "
            f"{available / 2**30:.1f} GiB are available."
        )
    adapter = None if weights is variant else variant.folder
    quality = measure_quality(folder, dtype, threads=settings.WORKER_THREADS, adapter=adapter, on_progress=on_progress)
    return {"reference": "float32" if adapter is None else "base in float32", **asdict(quality)}


def _engine(variant: Variant, listener: Listener, closing: ExitStack) -> Engine:
    """As the pool of a worker makes it; what it stands on is closed with `closing`."""
    weights = _adapted(variant) or variant
    engine: Engine = import_string(settings.ENGINE_BACKENDS[weights.backend])(weights, listener)
    if weights is variant:
        return engine
    closing.callback(engine.close, 0)
    adapted: Engine = import_string(settings.ENGINE_ADAPTERS[variant.backend])(variant, engine)
    return adapted


def _keep(variant: Variant, record: dict[str, Any]) -> None:
    with transaction.atomic():
        # The facts may have been read anew meanwhile.
        locked = Variant.objects.select_for_update().get(pk=variant.pk)
        locked.facts = locked.facts | {MEASURED: record}
        locked.save(update_fields=["facts"])
    variant.facts = locked.facts
