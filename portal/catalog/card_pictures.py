"""The picture that a card names as a file beside it: read when the model is imported, and kept with the card."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from django.db import transaction

from portal.catalog.card_metadata import describe_metadata, picture_kind
from portal.catalog.card_text import CardText
from portal.catalog.models import CardPicture, ModelCard

MAX_PICTURE_BYTES: Final = 100_000


def named_picture(text: CardText | None) -> str:
    """The name of the file that a card gives as its picture; empty where it gives none."""
    return describe_metadata(text.metadata).thumbnail_file if text is not None else ""


def read_named_picture(beside: Iterable[Path], text: CardText | None) -> tuple[str, bytes] | None:
    """Name and content of the picture, one of the files `beside` the card, which may be links that its caller follows.

    None where the card names none of them, or what is there is no small picture.
    """
    name = named_picture(text)
    path = next((path for path in beside if path.name == name), None)
    if path is None or not path.is_file():
        return None
    with path.open("rb") as file:
        content = file.read(MAX_PICTURE_BYTES + 1)
    return (name, content) if len(content) <= MAX_PICTURE_BYTES and picture_kind(content) else None


def keep_picture(card: ModelCard, name: str, content: bytes) -> None:
    """Make it the card's picture, in place of an earlier one."""
    with transaction.atomic():
        CardPicture.objects.update_or_create(card=card, defaults={"content": content})
        ModelCard.objects.filter(pk=card.pk).update(picture_name=name)
    card.picture_name = name


def kept_picture(card: ModelCard, name: str) -> tuple[str, bytes] | None:
    """Type and bytes of the picture that came under this name."""
    if not name or name != card.picture_name:
        return None
    content = bytes(CardPicture.objects.get(card=card).content)
    return f"image/{picture_kind(content)}", content
