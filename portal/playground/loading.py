"""How far a worker is in loading a variant's weights, told through the shared cache to whoever waits for an answer; and
in its log what kept it from loading them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Final

from django.core.cache import cache

from inference.weight_folder import WeightsRefused
from portal.catalog.models import Variant

logger = logging.getLogger(__name__)

# A worker that dies while it loads says nothing more.
FORGOTTEN_S: Final = 60
APART_S: Final = 0.25


def loading_teller(variant_id: int) -> Callable[[float, str], None]:
    """For an engine's `on_progress`: what share is done, and what is being done."""
    told_at = 0.0

    def tell(share: float, _stage: str) -> None:
        nonlocal told_at
        if share >= 1:
            cache.delete(_key(variant_id))
        elif time.monotonic() - told_at >= APART_S:
            told_at = time.monotonic()
            cache.set(_key(variant_id), int(100 * share), FORGOTTEN_S)

    return tell


def loading_percent(variant_id: int) -> int | None:
    """How much of the variant's weights is loaded; None while nobody loads them."""
    percent: int | None = cache.get(_key(variant_id))
    return percent


def loading_percents(variant_ids: Collection[int]) -> dict[int, int]:
    """The same of several variants with one question; those that nobody loads are left out."""
    told: dict[str, int] = cache.get_many([_key(variant_id) for variant_id in variant_ids])
    return {variant_id: told[key] for variant_id in variant_ids if (key := _key(variant_id)) in told}


def log_failed_load(variant: Variant, error: Exception) -> None:
    """In a sentence where weights were refused in one, such as a folder that is gone, else with where it came from."""
    if isinstance(error, WeightsRefused):
        logger.error("%s cannot be loaded: %s", variant.model_id, error)
    else:
        logger.error("%s cannot be loaded", variant.model_id, exc_info=error)


def _key(variant_id: int) -> str:
    return f"playground:loading:{variant_id}"
