"""Reads what a safetensors file says about itself, from its header alone: names, shapes, dtypes, places.

The file may come from anybody, so everything that the format forbids is refused here, before anything is loaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MAX_HEADER_BYTES: Final = 25_000_000
"""Room for some 200,000 tensors; the format itself allows 100 MB, which takes gigabytes to parse."""
MAX_DIMENSIONS: Final = 32
_LENGTH_BYTES: Final = 8

BITS_PER_VALUE: Final[Mapping[str, int]] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    **dict.fromkeys(("U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


class InvalidHeader(ValueError):
    """The file's header breaks the format; the message says where."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as its header describes it; `start` and `end` are positions in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """All tensors in the order of their places, and the free text that the file carries."""

    tensors: tuple[Tensor, ...]
    metadata: Mapping[str, str]


def read_safetensors_header(path: Path) -> SafetensorsHeader:
    """Read the header of one file. Raises InvalidHeader, or OSError when the file cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(_LENGTH_BYTES)
        if len(prefix) < _LENGTH_BYTES:
            raise InvalidHeader(f"{path.name}: {size} bytes are too few for a safetensors file")
        length = int.from_bytes(prefix, "little")
        if length > size - _LENGTH_BYTES:
            raise InvalidHeader(f"{path.name}: the header's length of {length} bytes is beyond the file's {size}")
        if length > MAX_HEADER_BYTES:
            raise InvalidHeader(f"{path.name}: the header has {length} bytes; at most {MAX_HEADER_BYTES} are read")
        raw = file.read(length)
    return parse_safetensors_header(raw, data_bytes=size - _LENGTH_BYTES - length, name=path.name)


def parse_safetensors_header(raw: bytes, *, data_bytes: int, name: str) -> SafetensorsHeader:
    """Read a header's bytes; `data_bytes` is what follows it in the file `name`. Raises InvalidHeader."""
    fields = _json_object(raw, name)
    metadata = _metadata(fields.pop("__metadata__", {}), name)
    tensors = [_tensor(key, value, _LENGTH_BYTES + len(raw), name) for key, value in fields.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    place = _LENGTH_BYTES + len(raw)
    for tensor in tensors:
        if tensor.start < place:
            raise InvalidHeader(f"{name}: tensor {tensor.name!r} overlaps the one before it")
        if tensor.start > place:
            raise InvalidHeader(f"{name}: {tensor.start - place} bytes before tensor {tensor.name!r} belong to none")
        place = tensor.end
    end = _LENGTH_BYTES + len(raw) + data_bytes
    if place > end:
        raise InvalidHeader(f"{name}: tensor {tensors[-1].name!r} ends at byte {place}, beyond the file's {end}")
    if place < end:
        raise InvalidHeader(f"{name}: the last {end - place} bytes belong to no tensor")
    return SafetensorsHeader(tuple(tensors), metadata)


def _json_object(raw: bytes, name: str) -> dict[str, Any]:
    if not raw.startswith(b"{"):
        raise InvalidHeader(f"{name}: the header does not begin with {{")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise InvalidHeader(f"{name}: {twice!r} is given twice in the header")
        return result

    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=once, parse_constant=_refuse_constant)
    except InvalidHeader:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"{name}: the header is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise InvalidHeader(f"{name}: the header is not a JSON object")
    return value


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def _metadata(value: Any, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidHeader(f"{name}: __metadata__ must map text to text")
    return value


def _tensor(key: str, value: Any, data_start: int, name: str) -> Tensor:
    where = f"{name}: tensor {key!r}"
    if not key.isascii() and any("\ud800" <= character <= "\udfff" for character in key):
        raise InvalidHeader(f"{where} has a name that is not text")
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise InvalidHeader(f"{where} must have dtype, shape and data_offsets alone")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS_PER_VALUE:
        raise InvalidHeader(f"{where} has the unknown dtype {dtype!r}")
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        raise InvalidHeader(f"{where}: shape must be at most {MAX_DIMENSIONS} whole numbers from 0")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise InvalidHeader(f"{where}: data_offsets must be a begin and an end")
    tensor = Tensor(key, dtype, tuple(shape), data_start + offsets[0], data_start + offsets[1])
    bits = tensor.values * BITS_PER_VALUE[dtype]
    if bits % 8 or bits // 8 != tensor.size_bytes:
        raise InvalidHeader(
            f"{where} has {tensor.size_bytes} bytes, but its shape {shape} of {dtype} takes {math.ceil(bits / 8)}"
        )
    return tensor


def _are_sizes(value: Any) -> bool:
    # bool is an int to Python, and no size.
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)
