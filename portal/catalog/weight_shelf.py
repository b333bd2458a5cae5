"""Where weights lie below STEELYARD_HOME, and how an import's files get there: whole or not at all.

A folder that an import works in is locked for as long as its process lives, so that what a killed one left is known.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from portal.private_folder import make_private_folder

STAGING_PREFIX: Final = ".importing-"
DOWNLOAD_PREFIX: Final = ".downloading-"
# Between making a folder and locking it nothing may take it for abandoned.
_TOO_YOUNG_S: Final = 60
# A broken-off download waits so long for somebody to ask again.
_RESUMABLE_S: Final = 7 * 86_400

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done of it and what there is to do. Whatever it raises ends the import."""


class ShelfRefused(ValueError):
    """The files cannot be put there; the message says why in one sentence."""


def shelf() -> Path:
    """The folder of all weights, made when it is first needed."""
    path: Path = settings.STEELYARD_HOME / "weights"
    make_private_folder(settings.STEELYARD_HOME)
    path.mkdir(exist_ok=True)
    return path


def require_room(needed: int) -> None:
    """Raises ShelfRefused where so many bytes do not fit."""
    free = shutil.disk_usage(shelf()).free
    if needed > free:
        raise ShelfRefused(f"{needed:,} bytes are to be written, but only {free:,} are free in {shelf()}.")


@contextmanager
def staging_folder() -> Iterator[Path]:
    """A folder for one import, gone at the end unless it was moved away."""
    sweep_shelf()
    folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=shelf()))
    try:
        with _held(folder):
            folder.chmod(0o755)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def download_folder(*what: str) -> Iterator[Path]:
    """The folder of one download, the same each time for the same `what`, and kept so that the next try goes on.

    Raises ShelfRefused while another process downloads the same.
    """
    digest = hashlib.sha256("\0".join(what).encode()).hexdigest()
    folder = shelf() / f"{DOWNLOAD_PREFIX}{digest[:16]}"
    folder.mkdir(exist_ok=True)
    with _held(folder):
        yield folder


def sweep_shelf() -> None:
    """Remove what killed imports left, and downloads that nobody took up again for a week."""
    for folder in shelf().glob(f"{STAGING_PREFIX}*"):
        _remove_abandoned(folder, _TOO_YOUNG_S)
    for folder in shelf().glob(f"{DOWNLOAD_PREFIX}*"):
        _remove_abandoned(folder, _RESUMABLE_S)


@contextmanager
def placed(folder: Path, destination: Path) -> Iterator[None]:
    """The folder under its final name, which is taken back when what follows fails."""
    try:
        folder.rename(destination)
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


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ShelfRefused("The same import is running already; wait for it to end.") from None
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(folder: Path, older_than_s: float) -> None:
    try:
        if time.time() - folder.stat().st_mtime <= older_than_s:
            return
        with _held(folder):
            shutil.rmtree(folder, ignore_errors=True)
    except (FileNotFoundError, ShelfRefused):
        return  # another sweep was quicker, or somebody works in it
