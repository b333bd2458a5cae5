"""What a card can be found and filtered by, taken from its text and variants and renewed whenever one changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from portal.catalog.card_metadata import CardMetadata, describe_metadata
from portal.catalog.card_text import parse_card
from portal.catalog.models import CardBase, CardFacet, Facet, ModelCard, Relation, SizeClass
from portal.catalog.search_index import CardWords, index_words

# TinyLlama is looked for as llama too.
_PARTS_OF_NAMES: Final = re.compile(r"[A-Z][a-z]+|[A-Z]{2,}(?![a-z])")


def index_card(card: ModelCard, using: str) -> None:
    """Put a card into the full-text index and renew its facets."""
    revision = card.current_revision
    metadata = describe_metadata(revision.metadata if revision else {})
    labels = [*metadata.tags, metadata.task, metadata.library, *metadata.languages, *metadata.language_codes]
    names = f"{card.owner_name} {card.slug} {card.title}"
    words = CardWords(
        names=" ".join([names, *_PARTS_OF_NAMES.findall(names)]),
        labels=" ".join([*labels, metadata.license.name if metadata.license else ""]),
        summary=card.summary,
        body=parse_card(revision.text).body if revision else "",
    )
    index_words(using, card.pk, words)
    facets = [(Facet.LANGUAGE, code.lower()) for code in metadata.language_codes]
    if metadata.license is not None:
        facets.append((Facet.LICENSE, metadata.license.name))
    if metadata.task:
        facets.append((Facet.TASK, metadata.task))
    facets += [(Facet.SIZE, size) for size in _size_classes(card)]
    facets += [(Facet.QUANTISATION, name) for name in _quantisations(card)]
    facets.append((Facet.GATE, card.gate))
    known = {(facet.kind, facet.value): facet for facet in card.facets.using(using).all()}
    wanted = dict.fromkeys(facets)
    outdated = [facet.pk for key, facet in known.items() if key not in wanted]
    CardFacet.objects.using(using).filter(pk__in=outdated).delete()
    CardFacet.objects.using(using).bulk_create(
        CardFacet(card=card, kind=kind, value=value) for kind, value in wanted if (kind, value) not in known
    )
    _index_bases(card, metadata, using)
    card.parameters = max(_parameters(card), default=None)
    ModelCard.objects.using(using).filter(pk=card.pk).update(parameters=card.parameters)


def _index_bases(card: ModelCard, metadata: CardMetadata, using: str) -> None:
    known = {(base.name, base.relation): base for base in card.bases.using(using).all()}
    relation = metadata.base_model_relation if metadata.base_model_relation in Relation.values else ""
    wanted = dict.fromkeys((base.name, relation) for base in metadata.base_models)
    CardBase.objects.using(using).filter(pk__in=[base.pk for key, base in known.items() if key not in wanted]).delete()
    CardBase.objects.using(using).bulk_create(
        CardBase(card=card, name=name, relation=relation) for name, relation in wanted if (name, relation) not in known
    )


def _quantisations(card: ModelCard) -> set[str]:
    return {name for name in card.variants.values_list("quantisation", flat=True) if name}


def _size_classes(card: ModelCard) -> Iterator[str]:
    return (SizeClass.of(parameters).value for parameters in _parameters(card))


def _parameters(card: ModelCard) -> Iterator[int]:
    counts = card.variants.values_list("facts__parameters", flat=True)
    return (count for count in counts if isinstance(count, int) and 0 <= count < 2**63)
