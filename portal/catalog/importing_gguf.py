"""Brings a GGUF file into the catalog: unpacked to safetensors, which the engine runs, and kept beside them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inference.gguf_conversion import ConversionError, convert_gguf
from inference.gguf_header import InvalidGGUF, read_gguf_header
from inference.weight_facts import read_weight_facts
from inference.weight_tensors import UnreadableWeights
from portal.catalog.card_text import CardText
from portal.catalog.importing import (
    README,
    Arrival,
    CardChoice,
    ImportedModel,
    ImportRefused,
    files_to_copy,
    publish_imported_card,
    read_card_text,
    take_in,
)
from portal.catalog.models import Relation, Variant
from portal.catalog.weight_shelf import Progress, ShelfRefused, require_room, staging_folder

SUFFIX: Final = ".gguf"
_CHUNK_BYTES: Final = 8_388_608
_PLAIN_TYPES: Final = frozenset({"F64", "F32", "F16", "BF16"})


def import_gguf(
    source: Path,
    *,
    card: CardChoice,
    card_text: CardText | None = None,
    left_out: Sequence[Path] = (),
    more_facts: Mapping[str, Any] | None = None,
    expected: str = "",
    on_progress: Progress | None = None,
) -> ImportedModel:
    """Import a GGUF file; the same file again changes nothing and converts nothing.

    `expected` is the SHA-256 that whoever offers the file published; `left_out` are the files beside it, of which the
    card's picture may be one. Raises ImportRefused, and OSError when a file cannot be read or written.
    """
    try:
        header = read_gguf_header(source)
    except InvalidGGUF as error:
        raise ImportRefused(f"{error}.") from error
    digest = _digest(source, on_progress)
    if expected and digest != expected:
        raise ImportRefused(f"{source.name} is damaged: its SHA-256 is not the published one.")
    known = _known(card, digest)
    if known is not None:
        names = publish_imported_card(known.card, card_text, left_out, source.name)
        revision = known.card.current_revision
        return ImportedModel(known, created=False, revision=revision.number if revision else None, left_out=names)
    try:
        with staging_folder() as staging:
            require_room(2 * source.stat().st_size)
            folder = _converted(source, staging / "weights", on_progress)
            kept = folder / source.name
            shutil.copyfile(source, kept)
            arrival = Arrival(
                folder=folder,
                digest=digest,
                source_name=source.name,
                facts=read_weight_facts(folder, origin=kept),
                card_text=card_text,
                origin=kept.name,
                relation="" if header.main_type in _PLAIN_TYPES else Relation.QUANTIZED,
                more_facts=more_facts or {},
                left_out=tuple(left_out),
            )
            return take_in(arrival, card)
    except (ShelfRefused, UnreadableWeights) as error:
        raise ImportRefused(str(error)) from error


def import_gguf_folder(
    source: Path, *, card: CardChoice, file: str = "", on_progress: Progress | None = None
) -> ImportedModel:
    """Import a folder's only GGUF file, or the one called `file`, with its card. Raises as `import_gguf` does."""
    files, left_out = files_to_copy(source)
    ggufs = {path.name: path for path in left_out if path.suffix.lower() == SUFFIX and path.is_file()}
    chosen = ggufs[choose_gguf(list(ggufs), file, source.name)]
    text = read_card_text(files)
    others = [path for path in (*files, *left_out) if path != chosen and (text is None or path.name != README)]
    return import_gguf(chosen, card=card, card_text=text, left_out=others, on_progress=on_progress)


def choose_gguf(names: list[str], wanted: str, source_name: str) -> str:
    """The name that is wanted, or the only one. Raises ImportRefused where there is none, or the choice is open."""
    listed = ", ".join(sorted(names))
    if wanted and wanted not in names:
        raise ImportRefused(f"{source_name} has no file {wanted}; it has: {listed or 'no GGUF'}.")
    if not names:
        raise ImportRefused(f"{source_name} has neither safetensors nor GGUF files.")
    if not wanted and len(names) > 1:
        raise ImportRefused(f"{source_name} has several GGUF files; choose one with --file: {listed}.")
    return wanted or names[0]


def _digest(source: Path, on_progress: Progress | None) -> str:
    size, done, digest = source.stat().st_size, 0, hashlib.sha256()
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            if on_progress is not None:
                on_progress("reading", done, size)
    return digest.hexdigest()


def _known(choice: CardChoice, digest: str) -> Variant | None:
    """The card's variant that was made from the same file, by an import or by the seed."""
    card = choice.existing()
    if card is None:
        return None
    return card.variants.select_related("card__current_revision").filter(facts__origin__source_sha256=digest).first()


def _converted(source: Path, destination: Path, on_progress: Progress | None) -> Path:
    def report(share: float, stage: str) -> None:
        if on_progress is not None:
            on_progress("converting", round(share * 100), 100)

    try:
        convert_gguf(source, destination, report)
    except ConversionError as error:
        raise ImportRefused(str(error)) from error
    return destination
