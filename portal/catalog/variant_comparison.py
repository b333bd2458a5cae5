"""A card's variants side by side: what each takes, how fast it is here, and what its number format costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inference.memory_at_context import weight_bytes_in
from portal.catalog.job_models import ACTIVE
from portal.catalog.measured_facts import MeasuredFigures, measured_figures
from portal.catalog.models import Variant


@dataclass(frozen=True, slots=True)
class ComparedVariant:
    """One row. `weight_bytes` is what the weights take to compute with: an adapter's is on top of its base's.

    measuring: the state of the job that measures it, where one was asked for.
    """

    variant: Variant
    weight_bytes: int
    figures: MeasuredFigures
    measuring: str = ""

    @property
    def is_being_measured(self) -> bool:
        return self.measuring in ACTIVE

    @property
    def can_be_measured(self) -> bool:
        """Whether it runs here and has no figures, and nothing is about to make some."""
        return self.variant.is_runnable and not self.figures.one and not self.is_being_measured


@dataclass(frozen=True, slots=True)
class MeasuredOn:
    """A machine, the names of the variants that were measured on it, and over how many tokens their quality is.

    loads: the least and the most that it was busy with meanwhile, in runnable tasks over a minute; empty where unknown.
    """

    machine: str
    tokens: int
    variants: tuple[str, ...]
    loads: tuple[float, ...] = ()


def compare_variants(variants: Iterable[Variant], measuring: Mapping[int, str] | None = None) -> list[ComparedVariant]:
    """Rows in the order of the card; none for a card with fewer than two variants."""
    states = measuring or {}
    rows = [
        ComparedVariant(each, _weight_bytes(each), measured_figures(each), states.get(each.pk, "")) for each in variants
    ]
    return rows if len(rows) > 1 else []


def measured_on(rows: Sequence[ComparedVariant]) -> list[MeasuredOn]:
    """Where the figures of the rows come from: one entry while they can be compared."""
    places: dict[tuple[str, int], list[ComparedVariant]] = {}
    for row in rows:
        if row.figures.one:
            places.setdefault((row.figures.machine, row.figures.tokens), []).append(row)
    return [_place(machine, tokens, measured) for (machine, tokens), measured in places.items()]


def _place(machine: str, tokens: int, rows: Sequence[ComparedVariant]) -> MeasuredOn:
    loads = [row.figures.load for row in rows if row.figures.load is not None]
    extremes = (min(loads), max(loads)) if loads else ()
    return MeasuredOn(machine, tokens, tuple(row.variant.slug for row in rows), extremes)


def _weight_bytes(variant: Variant) -> int:
    parameters, stored = variant.facts.get("parameters"), variant.facts.get("weight_bytes")
    return weight_bytes_in(
        variant.dtype,
        parameters if isinstance(parameters, int) else None,
        stored if isinstance(stored, int) else 0,
    )
