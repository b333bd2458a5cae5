"""Numbers on the catalog's pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from portal.catalog.card_marks import card_picture
from portal.catalog.card_metadata import CardMetadata
from portal.catalog.card_search import FacetChoice
from portal.catalog.markdown import render_markdown
from portal.catalog.models import ModelCard, Relation
from portal.catalog.variant_facts import share_text, short_count, size_text

register = template.Library()

_SELECTED: Final = SafeString(" selected")


@register.filter
def count_short(value: Any) -> str:
    """134515008 as 135M; nothing for what is no number."""
    return short_count(value) if isinstance(value, int) else ""


@register.filter
def size(value: Any) -> str:
    """Bytes in decimal units; nothing for what is no number."""
    return size_text(value) if isinstance(value, int) else ""


@register.simple_tag
def share(part: int, whole: int) -> str:
    """A part of a whole in percent."""
    return share_text(part, whole)


@register.simple_tag
def picture(card: ModelCard, stated: CardMetadata) -> SafeString:
    """A card's picture, or the mark drawn from its name."""
    number = card.current_revision.number if card.current_revision else None
    return card_picture(card.owner_name, card.slug, card.picture_name, stated, number)


@register.simple_tag
def options(choices: Iterable[FacetChoice]) -> SafeString:
    """A filter's choices, each with the number of cards that it leaves."""
    return format_html_join(
        "\n",
        '<option value="{}"{}>{} ({})</option>',
        ((each.value, _SELECTED if each.is_chosen else "", each.label, each.count) for each in choices),
    )


@register.filter
def as_yaml(value: Any) -> str:
    """A value of the front matter as it may be written there."""
    dumped: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=100)
    return dumped.removesuffix("...\n").strip()


@register.filter
def source_name(address: str) -> str:
    """Where a link leads, in few characters: host and the last part of the path."""
    parts = urlsplit(address)
    last = parts.path.rstrip("/").rpartition("/")[2]
    return f"{parts.netloc.removeprefix('www.')}/…/{last}"[:60] if last else parts.netloc


@register.filter
def relation_name(value: str) -> str:
    """A Relation's value in words; nothing for none."""
    return str(Relation(value).label) if value in Relation.values else ""


@register.filter
def card_markdown(text: str) -> SafeString:
    """A text out of a card's metadata as safe HTML."""
    return render_markdown(text)
