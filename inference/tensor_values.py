"""Reads the values of one stored tensor, a piece at a time, whatever its size and however it is packed.

Needs numpy alone. The file may have changed since its header was read, so a short read is an error and no guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from inference.gguf_header import read_gguf_header
from inference.safetensors_header import read_safetensors_header
from inference.weight_tensors import weight_files_of

VALUES_PER_PIECE: Final = 1_048_576
Floats = NDArray[np.float32] | NDArray[np.float64]
_PLAIN: Final[Mapping[str, str]] = {
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "|u1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2",
    "U32": "<u4", "I32": "<i4", "U64": "<u8", "I64": "<i8",
}  # fmt: skip


class UnreadableValues(ValueError):
    """The tensor's values cannot be read; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies: bytes `start` to `end` of `file`, `shape` values of `dtype`, in GGUF's blocks or plain."""

    name: str
    file: Path
    start: int
    end: int
    dtype: str
    shape: tuple[int, ...]
    in_blocks: bool = False

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def row(self) -> int:
        """Values in one row: along the last dimension."""
        return self.shape[-1] if self.shape else 1


def stored_tensors_of(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of a folder of safetensors by name. Raises UnreadableWeights, InvalidHeader, or OSError."""
    found = {}
    for file in weight_files_of(folder):
        for tensor in read_safetensors_header(file).tensors:
            found[tensor.name] = StoredTensor(tensor.name, file, tensor.start, tensor.end, tensor.dtype, tensor.shape)
    return found


def stored_tensors_of_gguf(file: Path) -> dict[str, StoredTensor]:
    """All tensors of a GGUF file by name. Raises InvalidGGUF, or OSError."""
    return {
        tensor.name: StoredTensor(
            tensor.name, file, tensor.start, tensor.start + tensor.size_bytes, tensor.type, tensor.shape, in_blocks=True
        )
        for tensor in read_gguf_header(file).tensors
    }


def pieces(tensor: StoredTensor, *, whole_rows: bool = False, limit: int = VALUES_PER_PIECE) -> Iterator[Floats]:
    """The tensor's values in order, flat, in pieces of about `limit`; with `whole_rows` each piece is `(rows, row)`.

    Raises UnreadableValues, or OSError.
    """
    unit, unit_bytes, decode = _decoder(tensor)
    step = tensor.row if whole_rows else unit
    if not tensor.values:
        return
    if step % unit:
        raise UnreadableValues(f"{tensor.name}: rows of {step} values do not fill blocks of {unit}.")
    per_piece = max(step, limit // step * step)
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        left = tensor.values
        while left:
            count = min(left, per_piece)
            wanted = count // unit * unit_bytes
            raw = file.read(wanted)
            if len(raw) < wanted or file.tell() > tensor.end:
                raise UnreadableValues(f"{tensor.file.name} is not as its header says any more.")
            values = decode(raw)
            yield values.reshape(-1, tensor.row) if whole_rows else values
            left -= count


def _decoder(tensor: StoredTensor) -> tuple[int, int, Callable[[bytes], Floats]]:
    """How many values form the smallest readable unit, its bytes, and what turns bytes into values."""
    if tensor.in_blocks:
        kind = GGMLQuantizationType[tensor.dtype]
        block, block_bytes = GGML_QUANT_SIZES[kind]
        try:
            dequantize(np.zeros((1, block_bytes), np.uint8), kind)
        except NotImplementedError:
            raise UnreadableValues(f"Values stored as {tensor.dtype} are not unpacked here.") from None
        return block, block_bytes, lambda raw: _unpacked(raw, kind)
    if tensor.dtype == "BF16":
        return 1, 2, _bfloat16
    if tensor.dtype in {"F8_E4M3", "F8_E5M2"}:
        table = _float8_table(tensor.dtype)
        return 1, 1, lambda raw: table[np.frombuffer(raw, np.uint8)]
    if tensor.dtype in _PLAIN:
        form = np.dtype(_PLAIN[tensor.dtype])
        return 1, form.itemsize, lambda raw: _plain(raw, form)
    raise UnreadableValues(f"Values stored as {tensor.dtype} are not read here.")


def _unpacked(raw: bytes, kind: GGMLQuantizationType) -> Floats:
    values: NDArray[Any] = dequantize(np.frombuffer(raw, np.uint8).reshape(1, -1), kind)
    return values.reshape(-1).astype(np.float32, copy=False)


def _plain(raw: bytes, form: np.dtype[Any]) -> Floats:
    values: NDArray[Any] = np.frombuffer(raw, form)
    if form.itemsize == 8 or (form.itemsize == 4 and form.kind != "f"):
        return values.astype(np.float64)  # integers beyond 2^24 are not exact in float32
    return values.astype(np.float32)


def _bfloat16(raw: bytes) -> Floats:
    return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)


@lru_cache(maxsize=2)
def _float8_table(dtype: str) -> NDArray[np.float32]:
    """The 256 values of a float8 format: E4M3 has no infinity, E5M2 is half of a float16."""
    codes = np.arange(256, dtype=np.uint16)
    if dtype == "F8_E5M2":
        return (codes << 8).view(np.float16).astype(np.float32)
    sign = np.where(codes & 0x80, -1.0, 1.0)
    exponent, mantissa = (codes >> 3) & 0xF, (codes & 7) / 8
    values = np.where(exponent == 0, mantissa * 2.0**-6, (1 + mantissa) * 2.0 ** (exponent.astype(np.float64) - 7))
    values[(codes & 0x7F) == 0x7F] = np.nan
    return (sign * values).astype(np.float32)
