"""Brings a hub's model into the catalog: its revision resolved to a commit, its download going on after a break."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from inference.adapter_folder import CONFIG_NAME
from portal.catalog.card_pictures import MAX_PICTURE_BYTES, named_picture
from portal.catalog.hub_commit import HubCommit, download_files, list_commit, wanted_names
from portal.catalog.hub_source import HubSource
from portal.catalog.importing import (
    README,
    CardChoice,
    ImportedModel,
    ImportRefused,
    import_files,
    read_card_text,
)
from portal.catalog.importing_adapter import import_adapter_files
from portal.catalog.importing_gguf import SUFFIX, import_gguf
from portal.catalog.models import Variant
from portal.catalog.weight_shelf import Progress, ShelfRefused, download_folder


def import_from_hub(
    source: HubSource, *, card: CardChoice | None = None, base: str = "", on_progress: Progress | None = None
) -> ImportedModel:
    """Import a repository of safetensors, an adapter's, or a GGUF file of one, on a card of the same name.

    The same commit again downloads nothing; a new one becomes another variant, where its weights differ. A download
    that broke off goes on at the next try. Without a network (HF_HUB_OFFLINE) the hub's own cache on this machine is
    read. Raises ImportRefused, and OSError when a file cannot be read or written.
    """
    choice = card or CardChoice.of(source.repo_id)
    try:
        if settings.HF_HUB_OFFLINE:
            return _import_cached(source, choice, base, on_progress)
        listed = list_commit(source)
        known = _known(choice, source, listed.commit)
        if known is not None:
            revision = known.card.current_revision
            return ImportedModel(known, created=False, revision=revision.number if revision else None, left_out=())
        with download_folder(settings.HF_ENDPOINT, source.repo_id, listed.commit, source.file) as folder:
            # The card first: it may name a picture, and what is wrong with it is known before gigabytes are here.
            download_files(source, listed, {README} & listed.sizes.keys(), folder)
            with _cleared_if_refused(folder):
                picture = _picture(listed, folder)
            download_files(source, listed, listed.sizes.keys() | picture, folder, on_progress)
            with _cleared_if_refused(folder):
                for name in picture:
                    _refuse_damaged(folder / name, listed)
                imported = _import_downloaded(source, listed, folder, choice, base, on_progress)
            shutil.rmtree(folder, ignore_errors=True)
            return imported
    except ShelfRefused as error:
        raise ImportRefused(str(error)) from error


@contextmanager
def _cleared_if_refused(folder: Path) -> Iterator[None]:
    """What is wrong with the files is wrong at the next try too, or was damaged on the way."""
    try:
        yield
    except ImportRefused:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _picture(listed: HubCommit, folder: Path) -> set[str]:
    """The picture that the card in the folder names, where the commit has it and it is small enough.

    Raises ImportRefused where the card is none that can be kept.
    """
    name = named_picture(read_card_text([folder / README] if README in listed.sizes else []))
    return {name} if listed.others.get(name, MAX_PICTURE_BYTES + 1) <= MAX_PICTURE_BYTES else set()


def _refuse_damaged(path: Path, listed: HubCommit) -> None:
    expected = listed.digests.get(path.name)
    if expected is not None and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ImportRefused(f"{path.name} is damaged: its SHA-256 is not the published one.")


def _import_downloaded(
    source: HubSource,
    listed: HubCommit,
    folder: Path,
    card: CardChoice,
    base: str,
    on_progress: Progress | None,
) -> ImportedModel:
    files = [folder / name for name in sorted(listed.sizes)]
    left_out = [folder / name for name in sorted(listed.others)]
    hub = {
        "endpoint": settings.HF_ENDPOINT,
        "repo_id": source.repo_id,
        "revision": source.revision,
        "commit": listed.commit,
        "file": source.file,
    }
    names = {path.name for path in files}
    gguf = next((path for path in files if path.suffix.lower() == SUFFIX), None)
    if gguf is not None:
        text = read_card_text(files)
        return import_gguf(
            gguf,
            card=card,
            card_text=text,
            left_out=left_out,
            more_facts={"hub": hub},
            expected=listed.digests.get(gguf.name, ""),
            on_progress=on_progress,
        )
    if CONFIG_NAME in names:
        return import_adapter_files(
            files,
            card=card,
            base=base,
            source_name=source.repo_id,
            left_out=left_out,
            more_facts={"hub": hub},
            expected=listed.digests,
            on_progress=on_progress,
        )
    return import_files(
        files,
        card=card,
        source_name=source.repo_id,
        left_out=left_out,
        more_facts={"hub": hub},
        expected=listed.digests,
        on_progress=on_progress,
    )


def _known(choice: CardChoice, source: HubSource, commit: str) -> Variant | None:
    card = choice.existing()
    if card is None:
        return None
    variants = card.variants.select_related("card__current_revision")
    return variants.filter(
        facts__hub__repo_id=source.repo_id, facts__hub__commit=commit, facts__hub__file=source.file
    ).first()


# --- Without a network


def _import_cached(source: HubSource, card: CardChoice, base: str, on_progress: Progress | None) -> ImportedModel:
    """Import what the hub's own cache on this machine holds. Its files are links into the cache, which are followed."""
    try:
        snapshot = Path(snapshot_download(source.repo_id, revision=source.revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise ImportRefused(
            f"HF_HUB_OFFLINE is set, and this machine's hub cache has no whole copy of {source.repo_id}"
            f"@{source.revision}. Without that setting it is downloaded."
        ) from error
    cache = snapshot.parents[1].resolve()
    names = [path.name for path in snapshot.iterdir() if path.is_file() and path.resolve().is_relative_to(cache)]
    wanted = wanted_names(source, names)
    sizes = {name: (snapshot / name).stat().st_size for name in names}
    listed = HubCommit(
        commit=snapshot.name,
        sizes={name: size for name, size in sizes.items() if name in wanted},
        others={name: size for name, size in sizes.items() if name not in wanted},
        digests={},
    )
    return _import_downloaded(source, listed, snapshot, card, base, on_progress)
