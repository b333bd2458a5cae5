"""Brings a hub's model into the catalog: its revision resolved to a commit, its download going on after a break."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
from django.conf import settings
from huggingface_hub import HfApi, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._headers import build_hf_headers
from tqdm import tqdm

from inference.adapter_folder import CONFIG_NAME
from portal.catalog.hub_source import HubSource
from portal.catalog.importing import (
    MAX_FILES,
    README,
    CardChoice,
    ImportedModel,
    ImportRefused,
    import_files,
    is_copied,
    read_card_text,
    refuse_pickle,
)
from portal.catalog.importing_adapter import import_adapter_files
from portal.catalog.importing_gguf import SUFFIX, import_gguf
from portal.catalog.models import Variant
from portal.catalog.weight_shelf import Progress, ShelfRefused, download_folder, require_room

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][\w.+ -]{0,200}", re.ASCII)
_PARTIAL: Final = ".partial"
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of one commit that are wanted."""

    commit: str
    sizes: dict[str, int]
    digests: dict[str, str]
    left_out: list[str]


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
        listing = _list(source)
        known = _known(choice, source, listing.commit)
        if known is not None:
            revision = known.card.current_revision
            return ImportedModel(known, created=False, revision=revision.number if revision else None, left_out=())
        with download_folder(settings.HF_ENDPOINT, source.repo_id, listing.commit, source.file) as folder:
            _download(source, listing, folder, on_progress)
            files = [folder / name for name in sorted(listing.sizes)]
            try:
                imported = _import_downloaded(source, listing, files, choice, base, on_progress)
            except ImportRefused:
                # What is wrong with the files is wrong at the next try too, or was damaged on the way.
                shutil.rmtree(folder, ignore_errors=True)
                raise
            shutil.rmtree(folder, ignore_errors=True)
            return imported
    except ShelfRefused as error:
        raise ImportRefused(str(error)) from error


def _import_downloaded(
    source: HubSource,
    listing: _Listing,
    files: list[Path],
    card: CardChoice,
    base: str,
    on_progress: Progress | None,
) -> ImportedModel:
    hub = {
        "endpoint": settings.HF_ENDPOINT,
        "repo_id": source.repo_id,
        "revision": source.revision,
        "commit": listing.commit,
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
            more_facts={"hub": hub},
            expected=listing.digests.get(gguf.name, ""),
            on_progress=on_progress,
        )
    if CONFIG_NAME in names:
        return import_adapter_files(
            files,
            card=card,
            base=base,
            source_name=source.repo_id,
            left_out=listing.left_out,
            more_facts={"hub": hub},
            expected=listing.digests,
            on_progress=on_progress,
        )
    return import_files(
        files,
        card=card,
        source_name=source.repo_id,
        left_out=listing.left_out,
        more_facts={"hub": hub},
        expected=listing.digests,
        on_progress=on_progress,
    )


# --- What the hub has


def _list(source: HubSource) -> _Listing:
    """Ask which commit the revision is, and which files it has. Raises ImportRefused."""
    api = HfApi(endpoint=settings.HF_ENDPOINT, token=settings.HF_TOKEN or False, library_name="steelyard")

    def ask() -> tuple[str, list[RepoFile]]:
        commit = api.model_info(source.repo_id, revision=source.revision, timeout=settings.HF_TIMEOUT_S).sha
        if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}", commit):
            raise ImportRefused(f"{settings.HF_ENDPOINT} does not say which commit {source.revision} is.")
        tree = api.list_repo_tree(source.repo_id, recursive=False, revision=commit)
        return commit, [entry for entry in tree if isinstance(entry, RepoFile)]

    commit, files = _asking(source, ask)
    if len(files) > MAX_FILES:
        raise ImportRefused(f"{source.repo_id} has {len(files)} files; at most {MAX_FILES} are imported.")
    wanted = _wanted(source, [file.path for file in files])
    return _Listing(
        commit=commit,
        sizes={file.path: file.size for file in files if file.path in wanted},
        digests={file.path: file.lfs.sha256 for file in files if file.path in wanted and file.lfs},
        left_out=sorted(file.path for file in files if file.path not in wanted),
    )


def _wanted(source: HubSource, names: list[str]) -> set[str]:
    """Of a repository's files those of one model. Raises ImportRefused where there is none, or the choice is open."""
    plain = [name for name in names if _PLAIN_NAME.fullmatch(name)]
    ggufs = sorted(name for name in plain if name.lower().endswith(SUFFIX))
    if source.file:
        if source.file not in ggufs:
            raise ImportRefused(f"{source.repo_id} has no file {source.file}; it has: {', '.join(ggufs) or 'no GGUF'}.")
        return {source.file} | ({README} & set(plain))
    if any(name.endswith(".safetensors") for name in plain):
        return {name for name in plain if is_copied(name)}
    if ggufs:
        if len(ggufs) > 1:
            raise ImportRefused(f"{source.repo_id} has several GGUF files; choose one with --file: {', '.join(ggufs)}.")
        return {ggufs[0]} | ({README} & set(plain))
    for name in plain:
        refuse_pickle(name)
    raise ImportRefused(f"{source.repo_id} has neither safetensors nor GGUF files.")


def _known(choice: CardChoice, source: HubSource, commit: str) -> Variant | None:
    card = choice.existing()
    if card is None:
        return None
    variants = card.variants.select_related("card__current_revision")
    return variants.filter(
        facts__hub__repo_id=source.repo_id, facts__hub__commit=commit, facts__hub__file=source.file
    ).first()


# --- The download


def _download(source: HubSource, listing: _Listing, folder: Path, on_progress: Progress | None) -> None:
    """Get the files into the folder, each from where its last download ended. Raises ImportRefused."""
    total = sum(listing.sizes.values())
    require_room(2 * total - _bytes_in(folder))

    class Bar(tqdm):  # type: ignore[type-arg]
        """Draws nothing: what lies in the folder is what was downloaded."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(total=kwargs.get("total"), disable=True)

        def update(self, n: float | None = 1) -> bool | None:
            if on_progress is not None:
                on_progress("downloading", min(_bytes_in(folder), total), total)
            return None

    for name, size in sorted(listing.sizes.items()):
        path = folder / name
        if not path.exists():
            partial = folder / f"{name}{_PARTIAL}"
            _asking(source, _rest_of_file(source, listing.commit, name, size, partial, Bar))
            partial.rename(path)


def _rest_of_file(
    source: HubSource, commit: str, name: str, size: int, partial: Path, bar: type[tqdm[Any]]
) -> Callable[[], None]:
    """What gets the rest of a file.

    The library's own download of a snapshot begins a file anew after a break, so only its request for one file is used.
    """

    def ask() -> None:
        with partial.open("ab", buffering=0) as file:
            http_get(
                hf_hub_url(source.repo_id, name, revision=commit, endpoint=settings.HF_ENDPOINT),
                file,
                resume_size=file.tell(),
                headers=build_hf_headers(token=settings.HF_TOKEN or False, library_name="steelyard"),
                expected_size=size,
                tqdm_class=bar,
            )

    return ask


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _asking(source: HubSource, ask: Callable[[], Answer]) -> Answer:
    """The answer; what a hub may answer instead becomes one sentence. Raises ImportRefused."""
    hub = settings.HF_ENDPOINT
    try:
        return ask()
    except GatedRepoError as error:
        raise ImportRefused(
            f"{source.repo_id} is gated: accept its terms at {hub}/{source.repo_id} and set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise ImportRefused(f"{hub} has no model {source.repo_id}, or shows it only with an HF_TOKEN.") from error
    except RevisionNotFoundError as error:
        raise ImportRefused(f"{source.repo_id} has no revision {source.revision}.") from error
    except HfHubHTTPError as error:
        raise ImportRefused(
            f"{hub} answers {error.response.status_code} for {source.repo_id}; try again later."
        ) from error
    except (httpx2.HTTPError, ConnectionError) as error:
        raise ImportRefused(
            f"{hub} cannot be reached, or broke off: what has arrived is kept, and importing again goes on."
        ) from error


# --- Without a network


def _import_cached(source: HubSource, card: CardChoice, base: str, on_progress: Progress | None) -> ImportedModel:
    """Import what the hub's own cache on this machine holds. Its files are links into the cache, which are followed."""
    try:
        snapshot = Path(snapshot_download(source.repo_id, revision=source.revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise ImportRefused(
            f"HF_HUB_OFFLINE is set, and this machine's hub cache has no whole copy of {source.repo_id}"
            f"@{source.revision}."
        ) from error
    cache = snapshot.parents[1].resolve()
    names = [path.name for path in snapshot.iterdir() if path.is_file() and path.resolve().is_relative_to(cache)]
    wanted = _wanted(source, names)
    listing = _Listing(snapshot.name, {}, {}, sorted(set(names) - wanted))
    files = [snapshot / name for name in sorted(wanted)]
    return _import_downloaded(source, listing, files, card, base, on_progress)
