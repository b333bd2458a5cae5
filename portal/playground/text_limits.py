"""What keeps a text from being stored: its length, and what PostgreSQL's text cannot hold."""

from __future__ import annotations

from django.utils.translation import gettext as _


def text_errors(field: str, text: str, limit: int) -> dict[str, list[str]]:
    """What keeps a text from being stored, by its field; nothing for one that is fine."""
    if len(text) > limit:
        length = {"limit": limit, "length": len(text)}
        return {field: [_("At most %(limit)d characters; this has %(length)d.") % length]}
    if "\x00" in text:
        return {field: [_("Null characters are not allowed.")]}
    return {}
