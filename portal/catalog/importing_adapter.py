"""Brings a LoRA adapter into the catalog: a variant that runs in its base's engine, on its base's weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from inference.adapter_facts import AdapterFacts, misfit, read_adapter_facts, short_base_name, trained_on
from inference.adapter_folder import CONFIG_NAME, WEIGHTS_NAME, read_adapter_folder
from inference.file_digests import file_stamps
from inference.safetensors_header import read_safetensors_header
from inference.weight_folder import WeightsRefused
from portal.catalog.importing import (
    README,
    CardChoice,
    ImportedModel,
    ImportRefused,
    copy_files,
    files_to_copy,
    free_slug,
    publish_imported_card,
    read_card_text,
)
from portal.catalog.models import Backend, ModelCard, Relation, TensorPart, Variant
from portal.catalog.queries import tensor_rows
from portal.catalog.services import keep_tensor_rows
from portal.catalog.tensor_rows import safetensors_rows
from portal.catalog.weight_shelf import Progress, ShelfRefused, placed, shelf, staging_folder


def is_adapter(folder: Path) -> bool:
    """Whether the folder says that it holds an adapter."""
    return (folder / CONFIG_NAME).is_file()


def import_adapter(
    source: Path, *, card: CardChoice | None, base: str = "", on_progress: Progress | None = None
) -> ImportedModel:
    """Import an adapter's folder. Without a card of its own it becomes a variant of its base's card.

    `base` is a variant's id, owner/card:variant; without one it is found by the name that the adapter's configuration
    gives. Raises ImportRefused, and OSError when a file cannot be read or written.
    """
    files, left_out = files_to_copy(source)
    return import_adapter_files(
        files, card=card, base=base, source_name=source.name, left_out=left_out, on_progress=on_progress
    )


def import_adapter_files(
    files: list[Path],
    *,
    card: CardChoice | None,
    base: str,
    source_name: str,
    left_out: list[Path],
    more_facts: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
) -> ImportedModel:
    """Import an adapter's files, wherever each lies. Raises as `import_adapter` does."""
    configuration = next((path for path in files if path.name == CONFIG_NAME), None)
    if configuration is None:
        raise ImportRefused(f"{source_name} has no {CONFIG_NAME}.")
    try:
        found = _base_variant(base, trained_on(configuration.parent), source_name)
        text = read_card_text(files) if card else None
        if card is None:
            # The base's card has a text of its own, which an adapter's must not replace.
            left_out = [*left_out, *(path for path in files if path.name == README)]
            files = [path for path in files if path.name != README]
        with staging_folder() as copy:
            digest = copy_files(files, copy, on_progress, expected)
            facts = _checked(copy, found, source_name, is_chosen=bool(base))
            owner, slug = (card.owner_name, card.slug) if card else (found.card.owner_name, found.card.slug)
            destination = shelf() / f"{owner}--{slug}--{digest[:16]}"
            with placed(copy, destination), transaction.atomic():
                home = card.get_or_create() if card else ModelCard.objects.get(pk=found.card_id)
                still_left = publish_imported_card(home, text, left_out, source_name)
                variant, created = _variant(home, destination, found, facts, source_name, more_facts or {})
    except (WeightsRefused, ShelfRefused) as error:
        raise ImportRefused(str(error)) from error
    revision = home.current_revision
    return ImportedModel(variant, created, revision.number if revision else None, still_left)


def _base_variant(base: str, wanted: str, source_name: str) -> Variant:
    """The variant that the adapter runs on. Raises ImportRefused."""
    candidates = Variant.objects.filter(backend=Backend.TRANSFORMERS).exclude(relation=Relation.ADAPTER)
    candidates = candidates.select_related("card").order_by("-is_runnable", "position", "pk")
    if base:
        name, _, slug = base.partition(":")
        owner_name, _, card_slug = name.partition("/")
        named = candidates.filter(card__owner_name=owner_name, card__slug=card_slug)
        found = (named.filter(slug=slug) if slug else named).first()
        if found is None:
            raise ImportRefused(f"There are no local weights called {base} for {source_name} to run on.")
        return found
    if not wanted:
        raise ImportRefused(f"{CONFIG_NAME} of {source_name} does not name its base; name a variant with --base.")
    owner_name, _, last = wanted.replace("\\", "/").rstrip("/").rpartition("/")
    # A hub's owner/name goes before a folder on the training machine that is only called alike.
    exact = candidates.filter(card__owner_name=owner_name, card__slug=last).first()
    found = exact or candidates.filter(card__slug__iexact=last).first()
    if found is None:
        raise ImportRefused(
            f"{source_name} was trained on {wanted}, which is not here: import that first, or name a variant with "
            "--base."
        )
    return found


def _checked(copy: Path, base: Variant, source_name: str, *, is_chosen: bool) -> AdapterFacts:
    try:
        # Who chooses a base says that it is the right one, whatever it is called.
        base_name = short_base_name(copy) if is_chosen else base.card.slug
        facts = read_adapter_facts(copy, base_name=base_name)
        rows = tensor_rows(base).get(TensorPart.WEIGHTS, ())
        wrong = misfit(read_adapter_folder(copy, base_name=base_name), {row.name: row.shape for row in rows})
    except WeightsRefused as error:
        raise ImportRefused(str(error).replace(copy.name, source_name)) from error
    if rows and wrong:
        raise ImportRefused(f"{source_name} does not fit {base.model_id}: {wrong}.")
    return facts


def _variant(
    card: ModelCard,
    destination: Path,
    base: Variant,
    facts: AdapterFacts,
    source_name: str,
    more_facts: Mapping[str, Any],
) -> tuple[Variant, bool]:
    source = str(destination.relative_to(settings.STEELYARD_HOME))
    known = card.variants.filter(source=source).first()
    if known is not None:
        return known, False
    variant = card.variants.create(
        slug=free_slug(card, source_name.rpartition("/")[2], destination.name.rpartition("-")[2]),
        backend=Backend.TRANSFORMERS,
        source=source,
        format="safetensors",
        dtype=base.dtype,
        relation=Relation.ADAPTER,
        base=base,
        # As many tokens fit as in the base that it runs on.
        facts={"context_length": base.context_length, **facts.as_dict(), **more_facts},
        digests={file.name: file.sha256 for file in facts.files},
        file_stamps=file_stamps(destination),
        defaults=base.defaults,
        queue=base.queue,
        is_runnable=base.is_runnable,
        position=card.variants.count(),
    )
    header = read_safetensors_header(destination / WEIGHTS_NAME)
    keep_tensor_rows(variant, {TensorPart.WEIGHTS: safetensors_rows(header.tensors)})
    return variant, True
