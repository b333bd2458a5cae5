"""Finding cards: a search, filters and an order, read from an address and turned into rows and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import Any, Final, overload

from django.db import models
from django.db.models import Count, Exists, F, OrderBy, OuterRef, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from portal.catalog.card_metadata import language_name
from portal.catalog.listed_cards import for_a_list
from portal.catalog.models import CardFacet, Facet, Gate, ModelCard, SizeClass, Variant
from portal.catalog.queries import MAX_SEARCH_CHARACTERS, visible_cards, with_variants
from portal.catalog.search_index import find_cards

MAX_VALUE_CHARACTERS: Final = 200
MAX_CHOICES: Final = 100


class CardOrder(models.TextChoices):
    """How a list of cards is sorted; without a search the best match is the newest change."""

    MATCH = "match", _("Best match")
    CHANGED = "changed", _("Changed last")
    CREATED = "created", _("Added last")
    TITLE = "title", _("Title")
    SMALLEST = "smallest", _("Smallest first")
    LARGEST = "largest", _("Largest first")


_ORDERS: Final[Mapping[CardOrder, tuple[str | OrderBy, ...]]] = {
    CardOrder.MATCH: ("-updated_at", "-pk"),
    CardOrder.CHANGED: ("-updated_at", "-pk"),
    CardOrder.CREATED: ("-created_at", "-pk"),
    CardOrder.TITLE: ("title", "pk"),
    CardOrder.SMALLEST: (F("parameters").asc(nulls_last=True), "pk"),
    CardOrder.LARGEST: (F("parameters").desc(nulls_last=True), "pk"),
}


GATE_LABELS: Final[Mapping[str, Promise]] = {
    Gate.OPEN.value: _("open"),
    Gate.AGREEMENT.value: _("by agreement"),
    Gate.APPROVAL.value: _("by approval"),
}


@dataclass(frozen=True, slots=True)
class CardSearch:
    """What somebody looks for. Whatever an address holds makes one; nonsense finds nothing."""

    text: str = ""
    facets: Mapping[str, str] = field(default_factory=dict)
    runnable: bool = False
    order: CardOrder = CardOrder.MATCH

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> CardSearch:
        """Read the parameters of an address."""

        def text(name: str, limit: int) -> str:
            return (query.get(name) or "").replace("\x00", "").strip()[:limit]

        order = text("sort", MAX_VALUE_CHARACTERS)
        return cls(
            text=text("q", MAX_SEARCH_CHARACTERS),
            facets={kind.value: value for kind in Facet if (value := text(kind.value, MAX_VALUE_CHARACTERS))},
            runnable=text("runnable", 1) == "1",
            order=CardOrder(order) if order in CardOrder.values else CardOrder.MATCH,
        )

    @property
    def is_narrowed(self) -> bool:
        return bool(self.text or self.facets or self.runnable)


@dataclass(frozen=True, slots=True)
class FacetChoice:
    """One value of a filter and how many cards choosing it would show."""

    value: str
    label: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class FacetFilter:
    """One filter with all its choices, most cards first."""

    kind: str
    label: str
    choices: list[FacetChoice]


class FoundCards(Sequence[dict[str, Any]]):
    """The cards of a full-text search, best match first, as `for_a_list` gives them; a page of them is one query."""

    def __init__(self, cards: QuerySet[ModelCard], ranked: Iterable[int]) -> None:
        """`cards` are those that the filters leave, in no order."""
        allowed = set(cards.values_list("pk", flat=True))
        self._ids = [card_id for card_id in ranked if card_id in allowed]

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, key: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        wanted = [self._ids[key]] if isinstance(key, int) else self._ids[key]
        found = {row["pk"]: row for row in for_a_list(ModelCard.objects.filter(pk__in=wanted))}
        rows = [found[card_id] for card_id in wanted if card_id in found]
        return rows[0] if isinstance(key, int) else rows


class CardSearchResult:
    """The cards and the filters' counts for one search, which looks into the full-text index once."""

    def __init__(self, search: CardSearch, *, include_unpublished: bool) -> None:
        self._search = search
        self._include_unpublished = include_unpublished
        self._ranked = find_cards("default", search.text) if search.text else None

    def cards(self) -> Sequence[dict[str, Any]] | QuerySet[ModelCard, Any]:
        """The cards in the order asked for, as `for_a_list` gives them, for a paginator."""
        if self._ranked is not None and self._search.order is CardOrder.MATCH:
            return FoundCards(self._filtered().order_by(), self._ranked)
        return for_a_list(self._filtered()).order_by(*_ORDERS[self._search.order])

    def listed(self) -> QuerySet[ModelCard]:
        """The cards in no order of relevance, for who reads all of them with their variants."""
        return with_variants(self._filtered())

    def filters(self) -> list[FacetFilter]:
        """All filters; a count says how many cards choosing that value would show, the other filters staying."""
        counts = self._counts(CardFacet.objects.filter(card__in=self._filtered().order_by().values("pk")))
        if self._search.facets:
            # With another value of a chosen kind, the cards come that the present value alone keeps out.
            for kind, values in self._counts(self._kept_out_by_one()).items():
                known = counts.setdefault(kind, {})
                counts[kind] = known | {value: known.get(value, 0) + count for value, count in values.items()}
        return [
            FacetFilter(kind.value, str(kind.label), self._choices(kind, counts.get(kind.value, {}))) for kind in Facet
        ]

    def _unfiltered(self) -> QuerySet[ModelCard]:
        """The cards that fit the words and that run here, where that is asked, whatever the filters say."""
        cards = visible_cards(include_unpublished=self._include_unpublished)
        if self._ranked is not None:
            cards = cards.filter(pk__in=self._ranked)
        if self._search.runnable:
            cards = cards.filter(pk__in=Variant.objects.filter(is_runnable=True).values("card"))
        return cards

    def _filtered(self) -> QuerySet[ModelCard]:
        cards = self._unfiltered()
        return cards.filter(pk__in=self._fitting(len(self._search.facets))) if self._search.facets else cards

    def _fitting(self, number: int) -> QuerySet[CardFacet, Any]:
        """The keys of the cards that fit exactly this many of the chosen values, at least one."""
        return self._fits.values("card").alias(number=Count("pk")).filter(number=number).values("card")

    @cached_property
    def _fits(self) -> QuerySet[CardFacet]:
        """The facets that are chosen. Made once: Django takes longer over these conditions than SQLite."""
        chosen = (Q(kind=kind, value=value) for kind, value in self._search.facets.items())
        return CardFacet.objects.filter(reduce(or_, chosen))

    def _kept_out_by_one(self) -> QuerySet[CardFacet]:
        """The facets of the kind whose chosen value alone keeps their card out."""
        others = len(self._search.facets) - 1
        cards = self._unfiltered().order_by()
        cards = cards.filter(pk__in=self._fitting(others)) if others else cards
        fits = self._fits.filter(card=OuterRef("card"), kind=OuterRef("kind"))
        facets = CardFacet.objects.filter(kind__in=self._search.facets, card__in=cards.values("pk"))
        return facets.exclude(Exists(fits))

    @staticmethod
    def _counts(facets: QuerySet[CardFacet]) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for kind, value, count in facets.values_list("kind", "value").annotate(count=Count("pk")):
            counts.setdefault(kind, {})[value] = count
        return counts

    def _choices(self, kind: Facet, counts: Mapping[str, int]) -> list[FacetChoice]:
        chosen = self._search.facets.get(kind.value, "")
        shown = dict(counts) if not chosen or chosen in counts else {**counts, chosen: 0}
        if kind is Facet.SIZE:
            known = SizeClass.values
            ordered = sorted(shown, key=lambda value: known.index(value) if value in known else -1)
        else:
            ordered = sorted(shown, key=lambda value: (-shown[value], value))
        kept = [value for number, value in enumerate(ordered) if number < MAX_CHOICES or value == chosen]
        return [FacetChoice(value, facet_label(kind, value), shown[value], value == chosen) for value in kept]


def facet_label(kind: Facet, value: str) -> str:
    """A filter's value in words."""
    if kind is Facet.LANGUAGE:
        return language_name(value)
    if kind is Facet.SIZE and value in SizeClass.values:
        return str(SizeClass(value).label)
    if kind is Facet.GATE and value in GATE_LABELS:
        return str(GATE_LABELS[value])
    return value
