"""An export into a file or a pipe: all of it or nothing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from portal.exports.formats import ExportFormat
from portal.exports.tables import Plan


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written."""

    rows: int
    bytes: int
    sha256: str


def _unheard(rows: int) -> None:
    pass


def write_export(
    plan: Plan, form: ExportFormat, output: BinaryIO, on_progress: Callable[[int], None] = _unheard
) -> ExportReport:
    """Write every row of the plan; `on_progress` hears how many there are so far."""
    digest, rows, size = hashlib.sha256(), 0, 0
    for piece, count in plan.pieces(form):
        output.write(piece)
        digest.update(piece)
        size += len(piece)
        rows += count
        on_progress(rows)
    return ExportReport(rows=rows, bytes=size, sha256=digest.hexdigest())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is complete and on the disk, and not at all otherwise.

    A device or a pipe is written to as it is: nothing may take its place.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
