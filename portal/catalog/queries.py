"""What other parts ask the catalog: which cards there are, and which variants can run."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from django.db.models import CharField, Prefetch, QuerySet

from portal.accounts.models import User
from portal.catalog.models import NAME_PATTERN, CardDraft, CardRevision, Gate, ModelCard, TensorPart, Variant
from portal.catalog.tensor_rows import TensorRow, unpack_rows
from portal.prepared_query import Given, PreparedInstances

MAX_SEARCH_CHARACTERS: Final = 200
_MODEL_ID: Final = re.compile(rf"(?P<owner>{NAME_PATTERN})/(?P<card>{NAME_PATTERN})(?::(?P<variant>{NAME_PATTERN}))?")


def visible_cards(*, include_unpublished: bool = False) -> QuerySet[ModelCard]:
    """The cards that a reader may see; card_search.py narrows them."""
    cards = ModelCard.objects.all()
    return cards if include_unpublished else cards.filter(is_published=True)


def with_variants(cards: QuerySet[ModelCard]) -> QuerySet[ModelCard]:
    """For who reads many cards with their variants' names: two queries, without texts and facts, which are large."""
    variants = Variant.objects.defer("facts", "digests", "file_stamps").order_by("-is_runnable", "position", "pk")
    cards = cards.select_related("current_revision").defer("current_revision__text", "current_revision__metadata")
    return cards.prefetch_related(Prefetch("variants", variants))


def cards_with_page_parts() -> QuerySet[ModelCard]:
    """Cards with everything that a card's page shows."""
    return ModelCard.objects.select_related("current_revision__author").prefetch_related("variants__card")


def card_revisions(card: ModelCard) -> QuerySet[CardRevision]:
    """A card's history, newest first, without the texts."""
    return card.revisions.select_related("author").defer("text")


def get_draft(card: ModelCard, author: User) -> CardDraft | None:
    """What this person typed for this card and has not published."""
    return card.drafts.filter(author=author).first()


def runnable_variants() -> QuerySet[Variant]:
    """The variants that run here, in the order in which they are offered; access.variants_for knows for whom."""
    return (
        Variant.objects.filter(is_runnable=True, card__is_published=True)
        .select_related("card", "base__card")
        .order_by("card__owner_name", "card__slug", "position", "pk")
    )


def published_variants() -> QuerySet[Variant]:
    """The variants of all published cards, whether they run here or not."""
    return Variant.objects.filter(card__is_published=True).select_related("card", "base__card")


def variants_by_model_id(model_ids: Collection[str]) -> list[Variant]:
    """Those of published cards that have one of these ids, owner/card:variant, in one query."""
    parts = [(*each.rpartition(":")[0].split("/", maxsplit=1), each.rpartition(":")[2]) for each in model_ids]
    owners, cards, slugs = ({part[at] for part in parts if len(part) == 3} for at in range(3))
    found = published_variants().filter(slug__in=slugs, card__owner_name__in=owners, card__slug__in=cards)
    return [each for each in found if each.model_id in model_ids]


def default_variant() -> Variant | None:
    """The variant that anybody gets who has not chosen: of the oldest card without a gate, the first one."""
    # The inner query sorts numbers alone; the rows with their facts are large.
    offered = Variant.objects.filter(is_runnable=True, card__is_published=True, card__gate=Gate.OPEN)
    first = offered.order_by("card__created_at", "card_id", "position", "pk").values("pk")[:1]
    return Variant.objects.filter(pk__in=first).select_related("card").first()


# One at most. An adapter's base is asked for afterwards: to load it with every variant costs more, as do columns that
# no run looks at.
_variants_to_run: Final = PreparedInstances(
    lambda: (
        runnable_variants()
        .select_related(None)
        .filter(
            card__owner_name=Given("owner", CharField()),
            card__slug=Given("card", CharField()),
            slug=Given("variant", CharField()),
        )
        .order_by()
    ),
    related=["card"],
    without=("digests", "file_stamps", "card__title", "card__summary", "card__picture_name", "card__parameters"),
)


def get_variant_by_model_id(model_id: str) -> Variant | None:
    """The runnable variant with this id, `owner/card:variant`; `owner/card` is that card's first.

    None when there is none, it does not run here, or its card is not published.
    """
    parts = _MODEL_ID.fullmatch(model_id)
    if parts is None:
        return None
    if parts["variant"]:
        return next(iter(_variants_to_run(**parts.groupdict())), None)
    return runnable_variants().filter(card__owner_name=parts["owner"], card__slug=parts["card"]).first()


def tensor_rows(variant: Variant) -> dict[TensorPart, tuple[TensorRow, ...]]:
    """What the headers of a variant's files list, by part; empty for an upstream or unread weights."""
    lists = {kept.part: bytes(kept.packed) for kept in variant.tensor_lists.all()}
    return {part: _unpacked(lists[part]) for part in TensorPart if part in lists}


@lru_cache(maxsize=16)
def _unpacked(packed: bytes) -> tuple[TensorRow, ...]:
    return unpack_rows(packed)
