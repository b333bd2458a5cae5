"""Text exports compressed as they are written, in the coding that the reader asked for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

GZIP_LEVEL: Final = 6
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class ZstdStream:
    """zstd (RFC 8878) by way of pyarrow, which brings it."""

    def __init__(self) -> None:
        import pyarrow as pa  # noqa: PLC0415  only who asks for zstd pays for loading it

        from portal.exports.formats import Sink  # noqa: PLC0415

        self._sink = Sink()
        self._stream = pa.CompressedOutputStream(self._sink, "zstd")

    def compress(self, data: bytes) -> bytes:
        self._stream.write(data)
        return self._sink.taken()

    def flush(self) -> bytes:
        self._stream.close()
        return self._sink.taken()


CODINGS: Final = ("zstd", "gzip")
"""What Accept-Encoding may ask for, best first."""


def accepted_coding(accept_encoding: str) -> str | None:
    """The best of CODINGS that the header accepts (RFC 9110, 12.5.3); None is identity."""
    weights: dict[str, float] = {}
    for part in accept_encoding.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if name:
            weights[name] = weight
    offered = [(weights.get(name, weights.get("*", 0.0)), -place, name) for place, name in enumerate(CODINGS)]
    weight, _place, name = max(offered)
    return name if weight > 0 else None


def compressed(pieces: Iterator[bytes], coding: str | None) -> Iterator[bytes]:
    """The pieces in `coding`; a piece that the compressor keeps for later is not sent."""
    if coding is None:
        yield from pieces
        return
    compressor: Compressor = (
        ZstdStream() if coding == "zstd" else zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    )
    for piece in pieces:
        if data := compressor.compress(piece):
            yield data
    yield compressor.flush()
