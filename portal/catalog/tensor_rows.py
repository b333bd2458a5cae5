"""The tensors of a file as rows, and the compact form in which the database keeps them."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inference.gguf_header import GGUFTensor
from inference.safetensors_header import Tensor


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor as the header of its file describes it; for a GGUF file the dtype is its block type, such as Q4_1."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def shape_text(self) -> str:
        return " \N{MULTIPLICATION SIGN} ".join(f"{size}" for size in self.shape) or "1"


def safetensors_rows(tensors: Iterable[Tensor]) -> list[TensorRow]:
    """Rows in the order given."""
    return [TensorRow(tensor.name, tensor.dtype, tensor.shape, tensor.size_bytes) for tensor in tensors]


def gguf_rows(tensors: Iterable[GGUFTensor]) -> list[TensorRow]:
    """Rows in the order given."""
    return [TensorRow(tensor.name, tensor.type, tensor.shape, tensor.size_bytes) for tensor in tensors]


def pack_rows(rows: Iterable[TensorRow]) -> bytes:
    """Some ten bytes per tensor: names and shapes repeat."""
    values = [(row.name, row.dtype, row.shape, row.size_bytes) for row in rows]
    return zlib.compress(json.dumps(values, separators=(",", ":")).encode())


def unpack_rows(packed: bytes) -> tuple[TensorRow, ...]:
    """The rows that `pack_rows` packed."""
    values = json.loads(zlib.decompress(packed))
    return tuple(TensorRow(name, dtype, tuple(shape), size_bytes) for name, dtype, shape, size_bytes in values)


def matching_rows(rows: Sequence[TensorRow], search: str) -> list[TensorRow]:
    """The rows in whose name or dtype each word of `search` occurs."""
    words = search.lower().split()
    return [row for row in rows if all(word in f"{row.name} {row.dtype}".lower() for word in words)]
