"""Where a model comes from and what was made of it, as a graph: cards by their metadata, variants by their rows.

Levels are generations: bases to the left of 0, what was made from the card to its right. A base that is no card here is
outside of this installation; a circle, which only metadata can claim, is drawn as one and followed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from django.db.models import QuerySet

from portal.catalog.models import CardBase, ModelCard, Variant

MAX_GENERATIONS: Final = 4
# Of one generation; the others are counted.
MAX_OF_A_LEVEL: Final = 12

HUB: Final = "https://huggingface.co/"


@dataclass(frozen=True, slots=True)
class LineageNode:
    """One model of the graph; `relation` is how it came from what it was made from, as a Relation's value."""

    key: str
    kind: str  # focus | card | outside | variant
    level: int
    name: str
    title: str
    address: str
    relation: str = ""


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """From what something was made from to what was made, by the nodes' keys."""

    source: str
    target: str
    relation: str


@dataclass(slots=True)
class Lineage:
    """The nodes in order of their levels, the edges between them, and how many of a level were left out."""

    nodes: dict[str, LineageNode] = field(default_factory=dict)
    edges: dict[tuple[str, str], LineageEdge] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        return len(self.nodes) == 1

    @property
    def levels(self) -> list[tuple[int, list[LineageNode]]]:
        """Generations, oldest first."""
        found = sorted({node.level for node in self.nodes.values()})
        return [(level, [node for node in self.nodes.values() if node.level == level]) for level in found]

    @property
    def circles(self) -> list[LineageEdge]:
        """Edges that lead back: metadata that makes a model its own ancestor."""
        return [edge for edge in self.edges.values() if self._leads_back(edge)]

    def _leads_back(self, edge: LineageEdge) -> bool:
        return self.nodes[edge.target].level <= self.nodes[edge.source].level

    def made_from(self, node: LineageNode) -> list[tuple[LineageNode, str]]:
        """What a node was made from, with the relation."""
        return [(self.nodes[edge.source], edge.relation) for edge in self.edges.values() if edge.target == node.key]

    def has_room(self, key: str, level: int) -> bool:
        """Whether a node is to be made; False where it is known already, or its level is full, which is counted."""
        if key in self.nodes:
            return False
        if sum(other.level == level for other in self.nodes.values()) >= MAX_OF_A_LEVEL:
            self.left_out[level] = self.left_out.get(level, 0) + 1
            return False
        return True

    def add(self, node: LineageNode) -> bool:
        """Take a node in, if there is room for it."""
        if not self.has_room(node.key, node.level):
            return False
        self.nodes[node.key] = node
        return True

    def connect(self, source: str, target: str, relation: str) -> None:
        """Draw an edge where both ends are in the graph."""
        if source in self.nodes and target in self.nodes:
            self.edges[source, target] = LineageEdge(source, target, relation)


def trace_lineage(card: ModelCard, *, include_unpublished: bool) -> Lineage:
    """A card's family: its bases and theirs, its siblings, what was made from it, and its variants. A bounded number
    of queries, whatever the family's size."""
    lineage = Lineage()
    lineage.add(_card_node(card, 0, "", focus=True))
    cards = ModelCard.objects.only("owner_name", "slug", "title", "is_published")
    if not include_unpublished:
        cards = cards.filter(is_published=True)
    _trace_bases(lineage, card, cards)
    _trace_derived(lineage, [card], 0, cards, generations=MAX_GENERATIONS)
    parents = [node.name for node in lineage.nodes.values() if node.level == -1]
    _trace_derived_of_names(lineage, parents, -1, cards)
    _add_variants(lineage, card, cards)
    return lineage


def _card_node(card: ModelCard, level: int, relation: str, *, focus: bool = False) -> LineageNode:
    kind = "focus" if focus else "card"
    return LineageNode(card.name, kind, level, card.name, card.title, card.get_absolute_url(), relation)


def _outside_node(name: str, level: int) -> LineageNode:
    is_id = name.count("/") == 1 and name.replace("/", "").replace("-", "").replace("_", "").replace(".", "").isalnum()
    return LineageNode(name, "outside", level, name, name, HUB + name if is_id and name.isascii() else "")


def _trace_bases(lineage: Lineage, card: ModelCard, cards: QuerySet[ModelCard]) -> None:
    wave = [card]
    for level in range(-1, -MAX_GENERATIONS - 1, -1):
        stated = list(CardBase.objects.filter(card__in=wave).select_related("card").order_by("pk"))
        here = _cards_by_name(cards, (base.name for base in stated))
        wave = []
        for base in stated:
            found = here.get(base.name)
            node = _card_node(found, level, "") if found else _outside_node(base.name, level)
            if lineage.add(node) and found:
                wave.append(found)
            lineage.connect(base.name, base.card.name, base.relation)
        if not wave:
            return


def _trace_derived(
    lineage: Lineage, wave: list[ModelCard], level: int, cards: QuerySet[ModelCard], *, generations: int
) -> None:
    for generation in range(level + 1, level + 1 + generations):
        if not wave:
            return
        wave = _trace_derived_of_names(lineage, [card.name for card in wave], generation - 1, cards)


def _trace_derived_of_names(
    lineage: Lineage, names: list[str], level: int, cards: QuerySet[ModelCard]
) -> list[ModelCard]:
    """Take in what names one of `names`, models of one level, as its base; return the new cards."""
    stated = CardBase.objects.filter(name__in=names, card__in=cards).select_related("card")
    stated = stated.only("name", "relation", "card__owner_name", "card__slug", "card__title")
    added = []
    # A popular base has hundreds, of whom a few are shown.
    for base in stated.order_by("card__owner_name", "card__slug", "pk"):
        if lineage.has_room(base.card.name, level + 1):
            lineage.nodes[base.card.name] = _card_node(base.card, level + 1, base.relation)
            added.append(base.card)
        lineage.connect(base.name, base.card.name, base.relation)
    return added


def _cards_by_name(cards: QuerySet[ModelCard], names: Iterable[str]) -> dict[str, ModelCard]:
    parts = [name.split("/") for name in names if name.count("/") == 1]
    found = cards.filter(owner_name__in={owner for owner, _slug in parts}, slug__in={slug for _owner, slug in parts})
    return {card.name: card for card in found}


def _add_variants(lineage: Lineage, card: ModelCard, cards: QuerySet[ModelCard]) -> None:
    """The card's variants, each after what it was made from: another variant, or weights of a card of `cards`."""
    large = [f"{of}{name}" for of in ("", "base__") for name in ("facts", "digests", "file_stamps", "defaults")]
    variants = list(Variant.objects.filter(card=card).select_related("base__card", "card").defer(*large))
    own = {variant.pk: variant for variant in variants}
    bases = {variant.base.card_id for variant in variants if variant.base is not None} - {card.pk}
    shown = set(cards.filter(pk__in=bases).values_list("pk", flat=True)) if bases else set()
    levels: dict[int, int] = {}

    def level_of(variant: Variant, seen: frozenset[int] = frozenset()) -> int:
        """One further than its base's. Raises nothing for a circle, which rows could hold."""
        base = own.get(variant.base_id) if variant.base_id is not None else None
        if base is None or variant.pk in seen:
            return 1
        return level_of(base, seen | {variant.pk}) + 1

    for variant in variants:
        levels[variant.pk] = level_of(variant)
    for variant in sorted(variants, key=lambda each: (levels[each.pk], each.position, each.pk)):
        address = f"{card.get_absolute_url()}#variant-{variant.slug}"
        key = f"variant {variant.pk}"
        lineage.add(
            LineageNode(key, "variant", levels[variant.pk], variant.model_id, variant.slug, address, variant.relation)
        )
        base = variant.base
        if base is not None and base.card_id in shown:
            lineage.add(_card_node(base.card, levels[variant.pk] - 1, ""))
        source = f"variant {base.pk}" if base is not None and base.pk in own else base.card.name if base else card.name
        lineage.connect(source, key, variant.relation)
