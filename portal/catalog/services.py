"""What changes in the catalog: a card's text, a variant's facts. Called by the admin, the seed and the import alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from inference.adapter_facts import AdapterFacts, read_adapter_facts
from inference.adapter_folder import WEIGHTS_NAME
from inference.file_digests import file_stamps
from inference.gguf_header import read_gguf_header
from inference.safetensors_header import read_safetensors_header
from inference.weight_facts import FACTS_FORMAT, WeightFacts, read_weight_facts
from inference.weight_folder import WeightsRefused
from inference.weight_tensors import UnreadableWeights, read_tensors
from portal.accounts.models import User
from portal.catalog.card_text import MAX_BYTES, parse_card
from portal.catalog.following import record_card_event
from portal.catalog.measured_facts import MEASURED
from portal.catalog.models import (
    MAX_NOTE_CHARACTERS,
    CardDraft,
    CardRevision,
    EventKind,
    ModelCard,
    TensorList,
    TensorPart,
    Variant,
)
from portal.catalog.tensor_rows import TensorRow, gguf_rows, pack_rows, safetensors_rows

logger = logging.getLogger(__name__)

ENGINE = "engine"


class RevisionConflict(ValidationError):
    """Somebody else's revision, `current`, came between the one that the author started from and theirs."""

    def __init__(self, current: CardRevision | None) -> None:
        super().__init__({"text": [_changed_meanwhile(current)]})
        self.current = current


def publish_revision(
    card: ModelCard, text: str | bytes, author: User | None, note: str = "", *, based_on: int | None = None
) -> CardRevision:
    """Give a card a new text. The text that is current already makes no revision; that one is returned.

    `based_on` is the number of the revision that the author started from (0 for none): when somebody else's came in
    between, nothing is written over. The author's draft has done its work and goes. Raises RevisionConflict, and
    ValidationError({"text": …}) or ({"note": …}) for bad input; both change nothing.
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
        if author is not None:
            CardDraft.objects.filter(card=locked, author=author).delete()
        if current is not None and current.sha256 == parsed.sha256:
            card.current_revision = current
            return current
        number = current.number if current else 0
        if based_on is not None and based_on != number:
            raise RevisionConflict(current)
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
        record_card_event(
            locked,
            EventKind.REVISION,
            str(revision.number),
            title=_("Revision %(number)s: %(note)s") % {"number": revision.number, "note": note}
            if note
            else _("Revision %(number)s") % {"number": revision.number},
            address=reverse("catalog:revision", args=[locked.owner_name, locked.slug, revision.number]),
            by=author,
        )
    card.current_revision = revision
    card.updated_at = locked.updated_at
    return revision


def _changed_meanwhile(current: CardRevision | None) -> str:
    return _(
        "Somebody else changed this card meanwhile: revision %(number)s by %(author)s. Your text is kept here; compare "
        "it with that revision, then save again."
    ) % {
        "number": current.number if current else 0,
        "author": (current.author if current else None) or _("nobody known"),
    }


def restore_revision(revision: CardRevision, author: User, *, based_on: int) -> CardRevision:
    """Make an earlier text current again, as a new revision. Raises as `publish_revision` does."""
    note = _("Restored revision %(number)s") % {"number": revision.number}
    return publish_revision(revision.card, revision.text, author, note, based_on=based_on)


def save_draft(card: ModelCard, author: User, *, text: str, note: str, based_on: int) -> CardDraft | None:
    """Keep what somebody typed, whatever is wrong with it; None where it is the text that the card has.

    Raises ValidationError({"text": …}) for a text longer than a card can be.
    """
    size = len(text.encode())
    if size > MAX_BYTES:
        limits = {"size": f"{size:,}", "limit": f"{MAX_BYTES:,}"}
        message = _("The card has %(size)s bytes; at most %(limit)s are allowed. This draft was not kept.")
        raise ValidationError({"text": [message % limits]})
    with transaction.atomic():
        # Publishing waits for this, or this for publishing.
        locked = ModelCard.objects.select_for_update(of=("self",)).select_related("current_revision").get(pk=card.pk)
        current = locked.current_revision
        # A draft that was on its way while the same text was published is none any more, whatever its note.
        is_published = current is not None and based_on < current.number
        if text == (current.text if current else "") and (not note or is_published):
            discard_draft(card, author)
            return None
        draft, _created = CardDraft.objects.update_or_create(
            card=card, author=author, defaults={"text": text, "note": note[:MAX_NOTE_CHARACTERS], "based_on": based_on}
        )
    return draft


def discard_draft(card: ModelCard, author: User) -> None:
    """Forget what somebody typed, because they said so."""
    CardDraft.objects.filter(card=card, author=author).delete()


def refresh_variant(variant: Variant, *, origin: Path | None = None) -> bool:
    """Read a local variant's facts and digests again where a file changed; say whether something did.

    Weights that are new or changed make the variant runnable, absent or unreadable ones make it not. While the files
    stay the same nothing is touched, so an operator's own choice holds. `origin` is the GGUF file that the weights may
    have been converted from; what it says is kept when its digest is the one that the conversion recorded.
    """
    folder = variant.folder
    if folder is None:
        return False
    stamps = file_stamps(folder) if folder.is_dir() else {}
    is_current = not stamps or variant.facts.get("format") == FACTS_FORMAT
    if stamps == variant.file_stamps and is_current and (stamps or not variant.is_runnable):
        return False
    # Reading more of the same files is no reason to turn on what an operator turned off.
    may_run = stamps != variant.file_stamps or variant.is_runnable
    variant.file_stamps = stamps
    try:
        if stamps and variant.is_adapter:
            _refresh_adapter(variant, folder)
        elif stamps:
            _refresh_weights(variant, folder, origin or _origin_within(folder))
        variant.is_runnable = bool(stamps) and may_run
    except (UnreadableWeights, WeightsRefused, OSError) as error:
        logger.warning("%s cannot run: %s", variant.model_id, error)
        variant.is_runnable = False
    with transaction.atomic():
        # Reading took a while, in which a worker may have measured the variant.
        meanwhile = Variant.objects.select_for_update().get(pk=variant.pk).facts
        variant.facts |= {name: meanwhile[name] for name in (ENGINE, MEASURED) if name in meanwhile}
        variant.save(update_fields=["file_stamps", "is_runnable", "facts", "digests", "quantisation"])
    return True


def _refresh_weights(variant: Variant, folder: Path, origin: Path | None) -> None:
    facts = read_weight_facts(folder, origin=origin)
    _keep_facts(variant, facts)
    variant.quantisation = facts.quantisation or facts.origin_type
    keep_tensor_lists(variant, folder, origin=origin if facts.origin_types else None)


def _refresh_adapter(variant: Variant, folder: Path) -> None:
    facts = read_adapter_facts(folder)
    _keep_facts(variant, facts)
    tensors = read_safetensors_header(folder / WEIGHTS_NAME).tensors
    keep_tensor_rows(variant, {TensorPart.WEIGHTS: safetensors_rows(tensors)})


def _keep_facts(variant: Variant, facts: WeightFacts | AdapterFacts) -> None:
    # What is not read from these files stays: where they came from, what was measured.
    variant.facts = variant.facts | facts.as_dict()
    variant.digests = {file.name: file.sha256 for file in facts.files}


def _origin_within(folder: Path) -> Path | None:
    """The file that weights were converted from, where the import kept it beside them."""
    return next(iter(sorted(folder.glob("*.gguf"))), None)


def note_engine(variant: Variant, provenance: Mapping[str, object]) -> None:
    """Keep which way of computing the engine has found to fit the variant; nothing is written while it stays."""
    said = {name: str(provenance[name]) for name in ("engine", "forward", "dtype") if name in provenance}
    if "forward" not in said or variant.facts.get(ENGINE) == said:
        return
    with transaction.atomic():
        locked = Variant.objects.select_for_update().get(pk=variant.pk)
        locked.facts = locked.facts | {ENGINE: said}
        locked.save(update_fields=["facts"])
    variant.facts = locked.facts


def keep_tensor_lists(variant: Variant, folder: Path, *, origin: Path | None = None) -> None:
    """Keep which tensors a variant has, read from the headers in `folder`; of `origin`, a GGUF file, likewise.

    Raises UnreadableWeights or InvalidGGUF, and OSError when a file cannot be read.
    """
    rows = {TensorPart.WEIGHTS: safetensors_rows(read_tensors(folder).values())}
    if origin is not None:
        rows[TensorPart.ORIGIN] = gguf_rows(read_gguf_header(origin).tensors)
    keep_tensor_rows(variant, rows)


def keep_tensor_rows(variant: Variant, rows: Mapping[TensorPart, list[TensorRow]]) -> None:
    """Keep these rows, and no others, as the variant's tensors."""
    with transaction.atomic():
        variant.tensor_lists.all().delete()
        TensorList.objects.bulk_create(
            TensorList(variant=variant, part=part, packed=pack_rows(listed)) for part, listed in rows.items()
        )
