"""Makes variants' engines: what settings.ENGINE_BACKENDS, ENGINE_FOOTPRINTS and ENGINE_ADAPTERS name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from inference.adapter_facts import adapter_bytes
from inference.engine import Engine, Listener
from portal.catalog.models import Variant
from portal.catalog.number_formats import NUMBER_FORMATS
from portal.playground.engine_pool import Footprint
from portal.playground.loading import loading_teller

# Room beside a base for its adapters: one is a few hundredths of its base.
ADAPTER_SHARE: Final = 0.1
LEAST_FOR_ADAPTERS: Final = 64 * 2**20

# torch is imported inside the functions: the web process imports this module by way of the tasks, and must not load it.


def transformers_engine(variant: Variant, listener: Listener) -> Engine:
    """Local weights: on an accelerator through transformers' own continuous batching, else through our own."""
    from inference.continuous_batching_engine import load_continuous_batching_engine  # noqa: PLC0415
    from inference.devices import chosen_device  # noqa: PLC0415
    from inference.transformers_engine import load_engine  # noqa: PLC0415

    device = chosen_device(settings.WORKER_DEVICE)
    common = {"listener": listener, "on_progress": loading_teller(variant.pk), **_sizes(variant)}
    if device != "cpu" and variant.dtype not in NUMBER_FORMATS:  # rounded weights run on the processor alone
        return load_continuous_batching_engine(_folder(variant), device=device, **common)
    return load_engine(_folder(variant), threads=settings.WORKER_THREADS, **common)


def transformers_footprint(variant: Variant) -> Footprint:
    """What `transformers_engine` or `transformers_adapter` will take, from the headers. Raises WeightsRefused."""
    if variant.is_adapter:
        size = adapter_bytes(_folder(variant))
        return Footprint(size, size)
    from inference.transformers_engine import estimate_memory  # noqa: PLC0415

    need = estimate_memory(_folder(variant), **_sizes(variant))
    for_adapters = max(LEAST_FOR_ADAPTERS, int(need.weights * ADAPTER_SHARE))
    return Footprint(need.peak + for_adapters, need.running + for_adapters, for_adapters)


def transformers_adapter(variant: Variant, base: Engine) -> Engine:
    """An adapter in its base's engine: on the same weights, in the same batches. Raises WeightsRefused."""
    from inference.transformers_engine import TransformersEngine  # noqa: PLC0415

    if not isinstance(base, TransformersEngine):
        raise ImproperlyConfigured(f"The engine of {variant.model_id}'s base carries no adapters.")
    # That they belong together is the variant's own word, whatever the base was called where it was trained.
    return base.with_adapter(_folder(variant), name=variant.model_id, is_trusted=True)


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
        # What was imported from a page must not lead into the network inside, whatever its name resolves to by now.
        public_but=settings.IMPORT_PRIVATE_HOSTS if facts.get("public_only") else None,
    )


def _folder(variant: Variant) -> Path:
    home: Path = settings.STEELYARD_HOME
    return home / variant.source


def _sizes(variant: Variant) -> dict[str, Any]:
    return {"dtype": variant.dtype or "bfloat16", "max_batch": settings.WORKER_CONCURRENCY}
