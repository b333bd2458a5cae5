"""What changes in the catalog: new revisions of a card. Called by the admin, the seed and the import alike."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from portal.accounts.models import User
from portal.catalog.card_text import parse_card
from portal.catalog.models import MAX_NOTE_CHARACTERS, CardRevision, ModelCard


def publish_revision(card: ModelCard, text: str | bytes, author: User | None, note: str = "") -> CardRevision:
    """Give a card a new text. The text that is current already makes no revision; that one is returned.

    Raises ValidationError({"text": …}) or ({"note": …}) for bad input, which changes nothing.
    """
    parsed = parse_card(text)
    if len(note) > MAX_NOTE_CHARACTERS:
        raise ValidationError(
            {"note": [_("At most %(limit)s characters are allowed.") % {"limit": MAX_NOTE_CHARACTERS}]}
        )
    with transaction.atomic():
        # Two authors at once get two numbers: the second waits for the card's row.
        locked = ModelCard.objects.select_for_update().get(pk=card.pk)
        current = locked.current_revision
        if current is not None and current.sha256 == parsed.sha256:
            card.current_revision = current
            return current
        latest = locked.revisions.order_by("-number").values_list("number", flat=True).first() or 0
        revision = locked.revisions.create(
            number=latest + 1,
            text=parsed.text,
            metadata=parsed.metadata,
            sha256=parsed.sha256,
            author=author,
            note=note,
        )
        locked.current_revision = revision
        locked.save(update_fields=["current_revision", "updated_at"])
    card.current_revision = revision
    card.updated_at = locked.updated_at
    return revision
