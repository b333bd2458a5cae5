"""Brings a folder in Hugging Face form into the catalog: checked as a copy, kept under its digest, all or nothing.

The other kinds of import (a GGUF file, a hub id, an adapter) end here too, with `take_in`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from inference.file_digests import file_stamps
from inference.sampling_params import InvalidParameter, SamplingParams
from inference.weight_facts import WeightFacts, read_weight_facts
from inference.weight_folder import DIGEST_CACHE_NAME, PICKLE_SUFFIXES, WeightsRefused, read_weight_folder
from inference.weight_tensors import UnreadableWeights
from portal.catalog.card_pictures import keep_picture, read_named_picture
from portal.catalog.card_text import MAX_BYTES, CardText, parse_card
from portal.catalog.card_title import title_of
from portal.catalog.models import Backend, ModelCard, Relation, Variant
from portal.catalog.services import keep_tensor_lists, publish_revision
from portal.catalog.weight_shelf import Progress, ShelfRefused, placed, require_room, shelf, staging_folder

README: Final = "README.md"
MAX_FILES: Final = 2_000
COPIED_SUFFIXES: Final = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".md"})
COPIED_NAMES: Final = frozenset({"LICENSE", "LICENCE", "NOTICE"})
_MORE_PICKLES: Final = frozenset({".pickle", ".joblib", ".npy", ".npz", ".h5", ".msgpack"})
_CHUNK_BYTES: Final = 8_388_608
_DTYPES: Final = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_SAMPLING_FIELDS: Final = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


class ImportRefused(ValueError):
    """Nothing is imported, and nothing is left behind; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """What an import did. `created` is False when everything was there already."""

    variant: Variant
    created: bool
    revision: int | None
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardChoice:
    """The card that an import goes to: its two names, and whether everybody sees it where it is new."""

    owner_name: str
    slug: str
    is_published: bool = True

    @classmethod
    def of(cls, name: str, *, is_published: bool = True) -> CardChoice:
        """The card called owner/name. Raises ImportRefused for what no address can hold."""
        owner_name, _, slug = name.partition("/")
        if not owner_name or not slug:
            raise ImportRefused(f"{name} cannot be a card's name: write it as owner/name.")
        try:
            ModelCard(owner_name=owner_name, slug=slug, title=slug[:200]).clean_fields(exclude=["title"])
        except ValidationError as error:
            raise ImportRefused(f"{name} cannot be a card's name: {error.messages[0]}") from error
        return cls(owner_name=owner_name, slug=slug, is_published=is_published)

    def existing(self) -> ModelCard | None:
        return ModelCard.objects.filter(owner_name=self.owner_name, slug=self.slug).first()

    def get_or_create(self, title: str = "") -> ModelCard:
        """The card; a new one is called `title`, or as its address where that is empty."""
        card, _ = ModelCard.objects.get_or_create(
            owner_name=self.owner_name,
            slug=self.slug,
            defaults={"title": title or self.slug[:200], "is_published": self.is_published},
        )
        return card


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Checked weights in a folder of this import's own.

    digest: of what makes them the same weights again.
    source_name: what people call where they came from.
    origin: the name of the GGUF file beside them, where they were converted from one.
    more_facts: what the import knows beyond the files, such as the hub's commit.
    left_out: files beside them that are no part of the model; the card's picture may be one.
    title: what a new card is called; empty where its address says it.
    """

    folder: Path
    digest: str
    source_name: str
    facts: WeightFacts
    card_text: CardText | None = None
    origin: str = ""
    relation: str = ""
    more_facts: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[Path, ...] = ()
    title: str = ""


def import_folder(source: Path, *, card: CardChoice, on_progress: Progress | None = None) -> ImportedModel:
    """Import a folder of safetensors weights with its configuration, tokenizer and card.

    The same weights again change nothing; other weights of the same card become another variant. A README.md that the
    card has never had becomes a revision. Raises ImportRefused, and OSError when a file cannot be read or written.
    """
    files, left_out = files_to_copy(source)
    return import_files(
        files, card=card, source_name=source.name, left_out=left_out, is_titled_by_text=True, on_progress=on_progress
    )


def import_files(
    files: list[Path],
    *,
    card: CardChoice,
    source_name: str,
    left_out: list[Path],
    more_facts: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
    is_titled_by_text: bool = False,
    on_progress: Progress | None = None,
) -> ImportedModel:
    """Import files that form a folder in Hugging Face form, wherever each lies. Raises as `import_folder` does.

    `expected` holds SHA-256 by name, as whoever offers the files published them; `left_out` are those beside them.
    A folder's name says little, so its card is titled by its text; a hub's repository is called as its owner calls it.
    """
    card_text = read_card_text(files)
    try:
        with staging_folder() as copy:
            digest = copy_files(files, copy, on_progress, expected)
            try:
                read_weight_folder(copy)
                facts = read_weight_facts(copy)
            except (WeightsRefused, UnreadableWeights) as error:
                raise ImportRefused(str(error).replace(copy.name, source_name)) from error
            arrival = Arrival(
                folder=copy,
                digest=digest,
                source_name=source_name,
                facts=facts,
                card_text=card_text,
                more_facts=more_facts or {},
                left_out=tuple(left_out),
                title=title_of(card_text) if is_titled_by_text and card_text is not None else "",
            )
            return take_in(arrival, card)
    except ShelfRefused as error:
        raise ImportRefused(str(error)) from error


def take_in(arrival: Arrival, choice: CardChoice) -> ImportedModel:
    """Give the weights their place and their rows, both or neither. Raises ImportRefused."""
    defaults, bad_defaults = _sampling_defaults(arrival.folder)
    destination = shelf() / f"{choice.owner_name}--{choice.slug}--{arrival.digest[:16]}"
    with placed(arrival.folder, destination), transaction.atomic():
        card = choice.get_or_create(arrival.title)
        left_out = publish_imported_card(card, arrival.card_text, arrival.left_out, arrival.source_name)
        variant, created = _variant(card, destination, arrival, defaults)
    return ImportedModel(
        variant=variant,
        created=created,
        revision=card.current_revision.number if card.current_revision else None,
        left_out=(*left_out, *bad_defaults),
    )


# --- The files, before anything is copied


def files_to_copy(source: Path) -> tuple[list[Path], list[Path]]:
    """The files to copy and what stays behind. Raises ImportRefused."""
    if not source.exists():
        raise ImportRefused(f"There is no folder and no file {source}.")
    if not source.is_dir():
        raise ImportRefused(f"{source} is not a folder; give a folder in Hugging Face form.")
    inside = source.resolve()
    files: list[Path] = []
    left_out: list[Path] = []
    for path in sorted(source.iterdir()):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise ImportRefused(f"{path.name} is a link out of the folder; copy the file itself into it.")
        if path.is_file():
            refuse_pickle(path.name)
        if path.name.startswith(".") or not path.is_file() or not is_copied(path.name):
            left_out.append(path)
        else:
            files.append(path)
    if len(files) > MAX_FILES:
        raise ImportRefused(f"{source.name} has {len(files)} files; at most {MAX_FILES} are imported.")
    return files, left_out


def refuse_pickle(name: str) -> None:
    """Raises ImportRefused for a file that could run code when it is loaded."""
    if Path(name).suffix.lower() in PICKLE_SUFFIXES | _MORE_PICKLES:
        raise ImportRefused(f"{name} is not safetensors and could run code when loaded; take it out first.")


def is_copied(name: str) -> bool:
    """Whether a file of this name is part of a model."""
    return name != DIGEST_CACHE_NAME and (Path(name).suffix.lower() in COPIED_SUFFIXES or name in COPIED_NAMES)


def read_card_text(files: list[Path]) -> CardText | None:
    """The card among the files. Raises ImportRefused where it is none that can be kept."""
    readme = next((path for path in files if path.name == README), None)
    if readme is None:
        return None
    size = readme.stat().st_size
    if size > MAX_BYTES:
        raise ImportRefused(f"{README}: The card has {size:,} bytes; at most {MAX_BYTES:,} are allowed.")
    try:
        with readme.open("rb") as file:
            return parse_card(file.read(MAX_BYTES + 1))
    except ValidationError as error:
        raise ImportRefused(f"{README}: {error.messages[0]}") from error


def copy_files(
    files: list[Path], folder: Path, on_progress: Progress | None, expected: Mapping[str, str] | None = None
) -> str:
    """Copy the files into the folder; the digest of all of them.

    Raises ShelfRefused where they do not fit, ImportRefused where one is not what was `expected`.
    """
    total = sum(path.stat().st_size for path in files)
    require_room(total)
    done, summary = 0, hashlib.sha256()
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as original, (folder / path.name).open("xb") as written:
            while chunk := original.read(_CHUNK_BYTES):
                digest.update(chunk)
                written.write(chunk)
                done += len(chunk)
                if on_progress is not None:
                    on_progress("copying", done, total)
            written.flush()
            os.fsync(written.fileno())
        if expected and digest.hexdigest() != expected.get(path.name, digest.hexdigest()):
            raise ImportRefused(f"{path.name} is damaged: its SHA-256 is not the published one.")
        if path.name != README:  # a new text for the same weights is no new variant
            summary.update(f"{path.name}\0{digest.hexdigest()}\n".encode())
    return summary.hexdigest()


# --- The rows


def publish_imported_card(
    card: ModelCard, text: CardText | None, beside: Iterable[Path], source_name: str
) -> tuple[str, ...]:
    """Make the text the card's, unless the card has had it: an old text must not undo an edit.

    The picture that it names comes too, where it is `beside` it; the names of the other files there are returned.
    """
    if text is not None and not card.revisions.filter(sha256=text.sha256).exists():
        publish_revision(card, text.text, author=None, note=f"Imported from {source_name}"[:300])
    names = [path.name for path in beside]
    picture = read_named_picture(beside, text)
    if picture is None:
        return tuple(names)
    keep_picture(card, *picture)
    return tuple(name for name in names if name != picture[0])


def free_slug(card: ModelCard, wanted: str, digest: str) -> str:
    """A variant's name that the card does not have yet."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("._-")[:80].strip("._-") or "weights"
    return f"{slug}-{digest[:8]}" if card.variants.filter(slug=slug).exists() else slug


def _variant(card: ModelCard, destination: Path, arrival: Arrival, defaults: dict[str, Any]) -> tuple[Variant, bool]:
    source = str(destination.relative_to(settings.STEELYARD_HOME))
    facts = {**arrival.facts.as_dict(), **arrival.more_facts}
    known = card.variants.select_for_update().filter(source=source).first()
    if known is not None:
        # What was measured here, and where the files came from, is not in the files.
        fresh = known.facts | facts
        if known.facts != fresh:
            known.facts = fresh
            known.save(update_fields=["facts"])
        return known, False
    main_dtype = next(iter(arrival.facts.dtypes), "")
    origin_type = arrival.facts.origin_type
    wanted = f"{origin_type}-{main_dtype}" if origin_type else arrival.facts.quantisation or main_dtype
    variant = card.variants.create(
        slug=free_slug(card, wanted.lower(), arrival.digest),
        backend=Backend.TRANSFORMERS,
        source=source,
        format="safetensors",
        dtype=_DTYPES.get(main_dtype, ""),
        relation=arrival.relation or (Relation.QUANTIZED if arrival.facts.quantisation else ""),
        quantisation=arrival.facts.quantisation or origin_type,
        facts=facts,
        digests={file.name: file.sha256 for file in arrival.facts.files},
        file_stamps=file_stamps(destination),
        defaults=defaults,
        position=card.variants.count(),
    )
    keep_tensor_lists(variant, destination, origin=destination / arrival.origin if arrival.origin else None)
    return variant, True


def _sampling_defaults(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What generation_config.json recommends, and what of it no engine here could follow."""
    try:
        config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, []
    except (ValueError, RecursionError) as error:
        raise ImportRefused("generation_config.json is not JSON in UTF-8.") from error
    if not isinstance(config, dict):
        raise ImportRefused("generation_config.json is not a JSON object.")
    defaults = {name: config[name] for name in _SAMPLING_FIELDS if config.get(name) is not None}
    for name in list(defaults):
        try:
            SamplingParams.from_mapping({name: defaults[name]})
        except InvalidParameter:
            del defaults[name]
    refused = [f"generation_config.json: {name}" for name in _SAMPLING_FIELDS if config.get(name) is not None]
    return defaults, [entry for entry in refused if entry.rpartition(" ")[2] not in defaults]
