"""What a hub's repository holds at one commit, and its download, which goes on after a break."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
from django.conf import settings
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._headers import build_hf_headers
from tqdm import tqdm

from portal.catalog.card_text import MAX_BYTES
from portal.catalog.hub_source import HubSource
from portal.catalog.importing import MAX_FILES, README, ImportRefused, is_copied, refuse_pickle
from portal.catalog.importing_gguf import SUFFIX, choose_gguf
from portal.catalog.weight_shelf import Progress, require_room

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][\w.+ -]{0,200}", re.ASCII)
_PARTIAL: Final = ".partial"
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class HubCommit:
    """The files of one commit: sizes of those that are wanted and of the others, SHA-256 of those that have one."""

    commit: str
    sizes: dict[str, int]
    others: dict[str, int]
    digests: dict[str, str]


def list_commit(source: HubSource) -> HubCommit:
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
    wanted = wanted_names(source, [file.path for file in files])
    listed = HubCommit(
        commit=commit,
        sizes={file.path: file.size for file in files if file.path in wanted},
        # A name with a path in it is no file of this folder, whatever the hub says.
        others={file.path: file.size for file in files if file.path not in wanted and "/" not in file.path},
        digests={file.path: file.lfs.sha256 for file in files if file.lfs},
    )
    if (size := listed.sizes.get(README, 0)) > MAX_BYTES:
        raise ImportRefused(f"{README}: The card has {size:,} bytes; at most {MAX_BYTES:,} are allowed.")
    return listed


def wanted_names(source: HubSource, names: list[str]) -> set[str]:
    """Of a repository's files those of one model. Raises ImportRefused where there is none, or the choice is open."""
    plain = [name for name in names if _PLAIN_NAME.fullmatch(name)]
    ggufs = [name for name in plain if name.lower().endswith(SUFFIX)]
    if not source.file and any(name.endswith(".safetensors") for name in plain):
        return {name for name in plain if is_copied(name)}
    if source.file or ggufs:
        return {choose_gguf(ggufs, source.file, source.repo_id)} | ({README} & set(plain))
    for name in plain:
        refuse_pickle(name)
    raise ImportRefused(f"{source.repo_id} has neither safetensors nor GGUF files.")


def download_files(
    source: HubSource, listed: HubCommit, names: Iterable[str], folder: Path, on_progress: Progress | None = None
) -> None:
    """Get these files into the folder, each from where its last download ended. Raises ImportRefused."""
    known = listed.sizes | listed.others
    sizes = {name: known[name] for name in names}
    total = sum(sizes.values())
    require_room(2 * total - _bytes_in(folder))

    class Bar(tqdm):  # type: ignore[type-arg]
        """Draws nothing: what lies in the folder is what was downloaded."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(total=kwargs.get("total"), disable=True)

        def update(self, n: float | None = 1) -> bool | None:
            if on_progress is not None:
                on_progress("downloading", min(_bytes_in(folder), total), total)
            return None

    for name, size in sorted(sizes.items()):
        path = folder / name
        if not path.exists():
            partial = folder / f"{name}{_PARTIAL}"
            _asking(source, _rest_of_file(source, listed.commit, name, size, partial, Bar))
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
            f"{hub} cannot be reached from here, or broke off; importing again goes on with what has arrived."
        ) from error
