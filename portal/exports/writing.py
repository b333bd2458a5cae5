"""An export into a file or a pipe: all of it or nothing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from portal.exports.criteria import Criteria
from portal.exports.formats import ExportFormat
from portal.exports.queries import read_all


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written."""

    rows: int
    bytes: int
    sha256: str


def write_export(criteria: Criteria, form: ExportFormat, output: BinaryIO) -> ExportReport:
    """Write every selected row. Raises InvalidCriterion before the first byte."""
    digest, rows, size = hashlib.sha256(), 0, 0

    def put(text: str) -> int:
        data = text.encode()
        output.write(data)
        digest.update(data)
        return len(data)

    chunks = read_all(criteria)
    size += put(form.encoder.header())
    for chunk in chunks:
        size += put(form.encoder.encode(chunk))
        rows += len(chunk)
    return ExportReport(rows=rows, bytes=size, sha256=digest.hexdigest())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is complete and on the disk, and not at all otherwise."""
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
