"""What a card that comes in with its text is called: the name that it says, else its first heading, as plain text."""

from __future__ import annotations

import re
from typing import Final

from django.utils.html import strip_tags

from portal.catalog.card_text import CardText
from portal.catalog.markdown import markdown_outline

MAX_CHARACTERS: Final = 200
# Only the start is read: a title stands above the text.
_READ: Final = 4_000
# Headings of templates, which name no model.
_OPENING: Final = re.compile(r"\Amodel card(?:\s+(?:for|of)\b|\s*:)\s*", re.IGNORECASE)
_NO_TITLE: Final = re.compile(
    r"model id|model card|table of contents|contents|readme|introduction|overview|description", re.IGNORECASE
)


def title_of(card: CardText) -> str:
    """`pretty_name`, else the first heading where it names something; empty where the text gives no title."""
    said = card.metadata.get("pretty_name")
    if isinstance(said, str) and (title := _plain(said)):
        return title
    first = next(iter(markdown_outline(card.body[:_READ], heading_anchors="title-")), None)
    title = _OPENING.sub("", _plain(first.text)) if first is not None else ""
    return "" if _NO_TITLE.fullmatch(title) else title


def _plain(text: str) -> str:
    """One line of what can be seen: no tags, no control characters, none that turn the direction of what follows."""
    seen = "".join(each if each.isprintable() else " " for each in strip_tags(text))
    return " ".join(seen.split())[:MAX_CHARACTERS].strip()
