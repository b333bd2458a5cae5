"""Numbers on the catalog's pages."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from portal.catalog.markdown import render_markdown
from portal.catalog.models import Relation
from portal.catalog.variant_facts import share_text, short_count, size_text

register = template.Library()

MARK_TICKS: Final = 9


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
@lru_cache(maxsize=1024)
def card_mark(name: str) -> SafeString:
    """A mark drawn from a card's name: ticks of a beam, as long as the name's digest says, and a weight on one of them.

    The same name has the same mark everywhere; it is decoration, so it is hidden from screen readers.
    """
    digest = hashlib.sha256(name.encode()).digest()
    ticks = format_html_join(
        "",
        '<path d="M{} 15v{}"/>',
        ((8 + 4 * number, 4 + digest[number] % 17) for number in range(MARK_TICKS)),
    )
    weight = 8 + 4 * (digest[MARK_TICKS] % MARK_TICKS)
    return format_html(
        '<svg class="card-mark" width="48" height="48" viewBox="0 0 48 48" aria-hidden="true" focusable="false">'
        '<path class="card-mark__beam" d="M4 15h40"/>{}'
        '<circle class="card-mark__weight" cx="{}" cy="9" r="3.5"/></svg>',
        ticks,
        weight,
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
