"""The pools that an installation starts with."""

from __future__ import annotations

from portal.arena.models import Pairing, Pool

MODELS_SLUG = "models"
PRECISIONS_SLUG = "precisions"


def seed_pools() -> None:
    """Make the two pools unless they exist; what maintainers changed stays."""
    Pool.objects.get_or_create(
        slug=MODELS_SLUG,
        defaults={
            "title": "Models",
            "summary": "Two variants of different models answer the same prompt.",
            "pairing": Pairing.CARDS,
            "is_automatic": True,
            "position": 0,
        },
    )
    Pool.objects.get_or_create(
        slug=PRECISIONS_SLUG,
        defaults={
            "title": "Precisions",
            "summary": "Two variants of one model, such as bf16 and int4: can anybody tell them apart?",
            "pairing": Pairing.PRECISIONS,
            "is_automatic": True,
            "position": 1,
        },
    )
