"""What a card can be found and filtered by, taken from its text and variants and renewed whenever one changes."""

from __future__ import annotations

from collections.abc import Iterator

from portal.catalog.card_metadata import describe_metadata
from portal.catalog.card_text import parse_card
from portal.catalog.models import CardFacet, Facet, ModelCard, SizeClass
from portal.catalog.search_index import CardWords, index_words


def index_card(card: ModelCard, using: str) -> None:
    """Put a card into the full-text index and renew its facets."""
    revision = card.current_revision
    metadata = describe_metadata(revision.metadata if revision else {})
    labels = [*metadata.tags, metadata.task, metadata.library, *metadata.languages, *metadata.language_codes]
    words = CardWords(
        names=f"{card.owner_name} {card.slug} {card.title}",
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
    known = {(facet.kind, facet.value): facet for facet in card.facets.using(using).all()}
    wanted = dict.fromkeys(facets)
    outdated = [facet.pk for key, facet in known.items() if key not in wanted]
    CardFacet.objects.using(using).filter(pk__in=outdated).delete()
    CardFacet.objects.using(using).bulk_create(
        CardFacet(card=card, kind=kind, value=value) for kind, value in wanted if (kind, value) not in known
    )


def _size_classes(card: ModelCard) -> Iterator[str]:
    for parameters in card.variants.values_list("facts__parameters", flat=True):
        if isinstance(parameters, int):
            yield SizeClass.of(parameters).value
