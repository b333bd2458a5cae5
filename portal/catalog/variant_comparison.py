"""A card's variants side by side: what each takes, how fast it is here, and what its number format costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inference.memory_at_context import weight_bytes_in
from portal.catalog.measured_facts import MeasuredFigures, measured_figures
from portal.catalog.models import Variant


@dataclass(frozen=True, slots=True)
class ComparedVariant:
    """One row. `weight_bytes` is what the weights take to compute with: an adapter's is on top of its base's."""

    variant: Variant
    weight_bytes: int
    figures: MeasuredFigures


def compare_variants(variants: Iterable[Variant]) -> list[ComparedVariant]:
    """Rows in the order of the card; none for a card with fewer than two variants."""
    rows = [ComparedVariant(variant, _weight_bytes(variant), measured_figures(variant)) for variant in variants]
    return rows if len(rows) > 1 else []


def _weight_bytes(variant: Variant) -> int:
    parameters, stored = variant.facts.get("parameters"), variant.facts.get("weight_bytes")
    return weight_bytes_in(
        variant.dtype,
        parameters if isinstance(parameters, int) else None,
        stored if isinstance(stored, int) else 0,
    )
