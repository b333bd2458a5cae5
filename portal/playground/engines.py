"""Makes variants' engines: what settings.ENGINE_BACKENDS and settings.ENGINE_FOOTPRINTS name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from inference.engine import Engine, Listener
from portal.catalog.models import Variant
from portal.playground.engine_pool import Footprint

# torch is imported inside the functions: the web process imports this module by way of the tasks, and must not load it.


def transformers_engine(variant: Variant, listener: Listener) -> Engine:
    """Local weights, through transformers and torch."""
    from inference.transformers_engine import load_engine  # noqa: PLC0415

    return load_engine(_folder(variant), listener=listener, threads=settings.WORKER_THREADS, **_sizes(variant))


def transformers_footprint(variant: Variant) -> Footprint:
    """What `transformers_engine` will take, from the weights' headers. Raises WeightsRefused."""
    from inference.transformers_engine import estimate_memory  # noqa: PLC0415

    need = estimate_memory(_folder(variant), **_sizes(variant))
    return Footprint(need.peak, need.running)


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


def _folder(variant: Variant) -> Path:
    home: Path = settings.STEELYARD_HOME
    return home / variant.source


def _sizes(variant: Variant) -> dict[str, Any]:
    return {"dtype": variant.dtype or "bfloat16", "max_batch": settings.WORKER_CONCURRENCY}
