"""A stored file as an HTTP answer that resumes: single byte ranges (RFC 9110, section 14), tied to its digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_PIECE_BYTES: Final = 262_144


class RangeNotSatisfiable(ValueError):
    """The range begins behind the end of the file."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `first` to `last`, both included, of a file."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def asked_range(header: str, if_range: str, etag: str, size: int) -> ByteRange | None:
    """The part that a request asks for; None stands for the whole.

    A header that is none, asks for several ranges, or is about another version of the file asks for the whole. Raises
    RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or (if_range and if_range != etag):
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < int(first):
            return None
    elif last:
        # The last so many bytes.
        start, end = max(0, size - int(last)), size - 1
        if int(last) == 0:
            raise RangeNotSatisfiable(header)
    else:
        return None
    if start >= size:
        raise RangeNotSatisfiable(header)
    return ByteRange(start, end)


def read_part(file: IO[Any], part: ByteRange) -> Iterator[bytes]:
    """The part's bytes in pieces; closes the file."""
    with file:
        file.seek(part.first)
        left = part.length
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
