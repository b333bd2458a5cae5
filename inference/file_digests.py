"""Which files belong to a folder of weights, with size and SHA-256, and whether one has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inference.weight_folder import DIGEST_CACHE_NAME


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a variant. `sha256` is of its bytes."""

    name: str
    size_bytes: int
    sha256: str


def weight_files(folder: Path) -> list[Path]:
    """The files that belong to the weights, by name: all in the folder itself but hidden ones and the digest cache."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.name != DIGEST_CACHE_NAME)


def file_stamps(folder: Path) -> dict[str, str]:
    """Size and time of change of each file: equal stamps mean that nothing needs to be read again."""
    return {path.name: f"{stat.st_size}-{stat.st_mtime_ns}" for path in weight_files(folder) if (stat := path.stat())}


def file_sha256(path: Path) -> str:
    """Of the bytes, in hexadecimal; about a second per 300 MB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weight_file_digests(folder: Path) -> Iterable[WeightFile]:
    """Each file of a folder with size and SHA-256."""
    for path in weight_files(folder):
        yield WeightFile(path.name, path.stat().st_size, file_sha256(path))
