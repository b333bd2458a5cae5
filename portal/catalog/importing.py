"""Brings a folder in Hugging Face form into the catalog: checked as a copy, kept under its digest, all or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from inference.sampling_params import InvalidParameter, SamplingParams
from inference.weight_facts import WeightFacts, file_stamps, read_weight_facts
from inference.weight_folder import DIGEST_CACHE_NAME, PICKLE_SUFFIXES, WeightsRefused, read_weight_folder
from inference.weight_tensors import UnreadableWeights
from portal.catalog.card_text import MAX_BYTES, CardText, parse_card
from portal.catalog.models import Backend, ModelCard, Variant
from portal.catalog.services import keep_tensor_lists, publish_revision

README: Final = "README.md"
MAX_FILES: Final = 2_000
COPIED_SUFFIXES: Final = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".md"})
COPIED_NAMES: Final = frozenset({"LICENSE", "LICENCE", "NOTICE"})
_MORE_PICKLES: Final = frozenset({".pickle", ".joblib", ".npy", ".npz", ".h5", ".msgpack"})
_CHUNK_BYTES: Final = 8_388_608
_ABANDONED_S: Final = 86_400
_DTYPES: Final = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_SAMPLING_FIELDS: Final = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")

Progress = Callable[[int, int], None]
"""Called with the bytes copied and the bytes to copy."""


class ImportRefused(ValueError):
    """The folder is not imported, and nothing of it is left behind; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """What an import did. `created` is False when everything was there already."""

    variant: Variant
    created: bool
    revision: int | None
    left_out: tuple[str, ...]


def import_folder(
    source: Path, *, owner_name: str, slug: str, is_published: bool = True, on_progress: Progress | None = None
) -> ImportedModel:
    """Import a folder of safetensors weights with its configuration, tokenizer and card.

    The same weights again change nothing; other weights of the same card become another variant. A README.md that the
    card has never had becomes a revision. Raises ImportRefused, and OSError when a file cannot be read or written.
    """
    files, left_out = _files_to_copy(source)
    card_text = _card_text(source)
    names = ModelCard(owner_name=owner_name, slug=slug, title=slug[:200])
    try:
        names.clean_fields(exclude=["title"])
    except ValidationError as error:
        raise ImportRefused(f"{owner_name}/{slug} cannot be a card's name: {error.messages[0]}") from error
    with _copy(files, on_progress) as (copy, digest):
        facts = _checked(copy, source.name)
        defaults, bad_defaults = _sampling_defaults(copy)
        destination = settings.STEELYARD_HOME / "weights" / f"{owner_name}--{slug}--{digest[:16]}"
        with _placed(copy, destination), transaction.atomic():
            card, _ = ModelCard.objects.get_or_create(
                owner_name=owner_name, slug=slug, defaults={"title": names.title, "is_published": is_published}
            )
            if card_text is not None and not card.revisions.filter(sha256=card_text.sha256).exists():
                publish_revision(card, card_text.text, author=None, note=f"Imported from {source.name}"[:300])
            variant, created = _variant(card, destination, facts, defaults)
    return ImportedModel(
        variant=variant,
        created=created,
        revision=card.current_revision.number if card.current_revision else None,
        left_out=(*left_out, *bad_defaults),
    )


# --- The folder, before anything is copied


def _files_to_copy(source: Path) -> tuple[list[Path], list[str]]:
    """The files to copy and the names of what stays behind. Raises ImportRefused."""
    if not source.is_dir():
        raise ImportRefused(f"{source} is not a folder; give a folder in Hugging Face form.")
    inside = source.resolve()
    files: list[Path] = []
    left_out: list[str] = []
    for path in sorted(source.iterdir()):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            raise ImportRefused(f"{path.name} is a link out of the folder; copy the file itself into it.")
        if path.suffix.lower() in PICKLE_SUFFIXES | _MORE_PICKLES and path.is_file():
            raise ImportRefused(f"{path.name} is not safetensors and could run code when loaded; take it out first.")
        if path.name.startswith(".") or not path.is_file() or not _is_copied(path):
            left_out.append(path.name)
        else:
            files.append(path)
    if len(files) > MAX_FILES:
        raise ImportRefused(f"{source.name} has {len(files)} files; at most {MAX_FILES} are imported.")
    return files, left_out


def _is_copied(path: Path) -> bool:
    return path.name != DIGEST_CACHE_NAME and (path.suffix.lower() in COPIED_SUFFIXES or path.name in COPIED_NAMES)


def _card_text(source: Path) -> CardText | None:
    try:
        with (source / README).open("rb") as file:
            return parse_card(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ImportRefused(f"{README}: {error.messages[0]}") from error


# --- The copy


@contextmanager
def _copy(files: list[Path], on_progress: Progress | None) -> Iterator[tuple[Path, str]]:
    """A private copy of the files and the digest of all of them; gone at the end unless it was moved away."""
    shelf: Path = settings.STEELYARD_HOME / "weights"
    shelf.mkdir(parents=True, exist_ok=True)
    _sweep(shelf)
    total = sum(path.stat().st_size for path in files)
    free = shutil.disk_usage(shelf).free
    if total > free:
        raise ImportRefused(f"{total:,} bytes are to be copied, but only {free:,} are free in {shelf}.")
    folder = Path(tempfile.mkdtemp(prefix=".importing-", dir=shelf))
    try:
        done, summary = 0, hashlib.sha256()
        for path in files:
            digest = hashlib.sha256()
            with path.open("rb") as original, (folder / path.name).open("xb") as written:
                while chunk := original.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    written.write(chunk)
                    done += len(chunk)
                    if on_progress is not None:
                        on_progress(done, total)
                written.flush()
                os.fsync(written.fileno())
            if path.name != README:  # a new text for the same weights is no new variant
                summary.update(f"{path.name}\0{digest.hexdigest()}\n".encode())
        folder.chmod(0o755)
        yield folder, summary.hexdigest()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(shelf: Path) -> None:
    """Remove what imports left that were killed: a copy that has not changed for a day belongs to none."""
    for folder in shelf.glob(".importing-*"):
        if time.time() - folder.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _checked(copy: Path, name: str) -> WeightFacts:
    try:
        read_weight_folder(copy)
        return read_weight_facts(copy)
    except (WeightsRefused, UnreadableWeights) as error:
        raise ImportRefused(str(error).replace(copy.name, name)) from error


@contextmanager
def _placed(copy: Path, destination: Path) -> Iterator[None]:
    """The copy under its final name, which is taken back when what follows fails."""
    try:
        copy.rename(destination)
        ours = True
    except OSError:
        if not destination.is_dir():
            raise
        ours = False  # the same bytes are there already
    try:
        yield
    except BaseException:
        if ours:
            shutil.rmtree(destination, ignore_errors=True)
        raise


# --- The rows


def _variant(card: ModelCard, destination: Path, facts: WeightFacts, defaults: dict[str, Any]) -> tuple[Variant, bool]:
    source = str(destination.relative_to(settings.STEELYARD_HOME))
    known = card.variants.filter(source=source).first()
    if known is not None:
        return known, False
    main_dtype = next(iter(facts.dtypes), "")
    slug = facts.quantisation or main_dtype.lower() or "weights"
    if card.variants.filter(slug=slug).exists():
        slug = f"{slug}-{destination.name.rpartition('-')[2][:8]}"
    variant = card.variants.create(
        slug=slug,
        backend=Backend.TRANSFORMERS,
        source=source,
        format="safetensors",
        dtype=_DTYPES.get(main_dtype, ""),
        quantisation=facts.quantisation,
        facts=facts.as_dict(),
        digests={file.name: file.sha256 for file in facts.files},
        file_stamps=file_stamps(destination),
        defaults=defaults,
        position=card.variants.count(),
    )
    keep_tensor_lists(variant, destination)
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
