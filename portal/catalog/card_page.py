"""A card's text as the page shows it: rendered once per text and language, since rendering is the slow part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.utils.safestring import SafeString
from django.utils.translation import get_language

from portal.catalog.card_metadata import TRAINING_FIELD
from portal.catalog.card_outline import Outline, measure_outline
from portal.catalog.card_text import parse_card
from portal.catalog.card_training import TrainingAnswer, describe_training
from portal.catalog.markdown import Heading, markdown_outline, render_markdown
from portal.catalog.models import ModelCard

ANCHORS: Final = "card-"
CACHED_PAGES: Final = 32
_TITLE: Final = re.compile(r"\A\s*# +(?P<title>[^\n]+?)[ #]*(?:\r?\n|\Z)")
_NOT_WORD: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class RenderedCard:
    """The card's body as safe HTML, its main headings, how its model came to be, and what of a whole card is there."""

    html: SafeString
    headings: tuple[Heading, ...]
    training: tuple[TrainingAnswer, ...]
    outline: Outline

    @property
    def tells_training(self) -> bool:
        return any(answer.is_answered for answer in self.training)


def render_card(card: ModelCard, text: str) -> RenderedCard:
    """A text of the card without the heading that only repeats its title. Raises ValidationError where it is none."""
    return _rendered(text, (card.title, card.slug, card.name), get_language() or "")


@lru_cache(maxsize=CACHED_PAGES)
def _rendered(text: str, names: tuple[str, ...], language: str) -> RenderedCard:
    parsed = parse_card(text)
    body = parsed.body
    title = _TITLE.match(body)
    if title and _plain(title["title"]) in {_plain(name) for name in names}:
        body = body[title.end() :]
    headings = markdown_outline(body, heading_anchors=ANCHORS)
    top = min((heading.level for heading in headings), default=2)
    return RenderedCard(
        html=render_markdown(body, heading_anchors=ANCHORS),
        headings=tuple(heading for heading in headings if heading.level == top),
        training=describe_training(parsed.metadata.get(TRAINING_FIELD), headings),
        outline=measure_outline(parsed.metadata, body, heading_anchors=ANCHORS),
    )


def _plain(name: str) -> str:
    return _NOT_WORD.sub(" ", name).strip().lower()
