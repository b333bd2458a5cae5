"""The small picture beside a card's name: the one that the card carries, or a mark drawn from the name."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from portal.catalog.card_metadata import CardMetadata, ListedMetadata

MARK_TICKS: Final = 9


def card_picture(
    owner_name: str, slug: str, picture_name: str, stated: CardMetadata | ListedMetadata, revision: int | None
) -> SafeString:
    """What `stated`, the metadata of this revision, shows; `picture_name` is the file that was kept beside the card."""
    if not (stated.thumbnail or (stated.thumbnail_file and stated.thumbnail_file == picture_name)):
        return card_mark(f"{owner_name}/{slug}")
    return format_html(
        '<img class="card-mark" src="{}?{}" alt="" width="48" height="48" loading="lazy">',
        reverse("catalog:thumbnail", args=[owner_name, slug]),
        revision,
    )


@lru_cache(maxsize=1024)
def card_mark(name: str) -> SafeString:
    """Ticks of a beam, as long as the name's digest says, and a weight on one of them.

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
