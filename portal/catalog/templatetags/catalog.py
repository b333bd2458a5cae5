"""Numbers on the catalog's pages."""

from __future__ import annotations

from typing import Any

from django import template

from portal.catalog.variant_facts import share_text, short_count, size_text

register = template.Library()


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
