"""Reads what a GGUF file says about itself, without its weights: key-value metadata and the list of tensors.

Written for files from anybody: every length is checked against the file before it is believed.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

MAX_KEYS: Final = 65_536
MAX_TENSORS: Final = 200_000
MAX_ARRAY_ITEMS: Final = 10_000_000
MAX_TEXT_BYTES: Final = 10_000_000
MAX_ARRAY_DEPTH: Final = 4
_DEFAULT_ALIGNMENT: Final = 32
_TEXT: Final = 8
_ARRAY: Final = 9
_SCALARS: Final[Mapping[int, str]] = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip

Scalar = int | float | bool | str


class InvalidGGUF(ValueError):
    """The file breaks the format; the message says where."""


@dataclass(frozen=True, slots=True)
class GGUFTensor:
    """One tensor: its name, its shape as torch would say it, its type (Q4_1, F32, …), bytes and place."""

    name: str
    shape: tuple[int, ...]
    type: str
    size_bytes: int
    start: int

    @property
    def values(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """`metadata` holds scalars and text; of arrays only the length is kept, in `array_lengths`."""

    version: int
    metadata: Mapping[str, Scalar]
    array_lengths: Mapping[str, int]
    tensors: tuple[GGUFTensor, ...]

    @property
    def values_by_type(self) -> dict[str, int]:
        """How many values are stored in each type, most first."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors:
            counts[tensor.type] += tensor.values
        return dict(counts.most_common())

    @property
    def main_type(self) -> str:
        """The type that holds most of the values, or an empty string for a file without tensors."""
        return next(iter(self.values_by_type), "")


def read_gguf_header(path: Path) -> GGUFHeader:
    """Read a file's header. Raises InvalidGGUF, or OSError when the file cannot be read."""
    with path.open("rb") as file:
        return _Reader(file, path.stat().st_size, path.name).header()


class _Reader:
    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file = file
        self._left = size
        self._size = size
        self._name = name

    def header(self) -> GGUFHeader:
        if self._take(4) != b"GGUF":
            raise self._fault("does not begin with GGUF")
        version = self._number("<I")
        if version not in {2, 3}:
            raise self._fault(f"version {version} is not supported; 2 and 3 are")
        tensor_count = self._count("tensors", MAX_TENSORS)
        key_count = self._count("keys", MAX_KEYS)
        metadata: dict[str, Scalar] = {}
        lengths: dict[str, int] = {}
        for _ in range(key_count):
            key = self._text()
            if key in metadata or key in lengths:
                raise self._fault(f"the key {key!r} is given twice")
            kind = self._number("<I")
            if kind == _ARRAY:
                lengths[key] = self._skip_array()
            else:
                metadata[key] = self._value(kind)
        tensors = self._tensors(tensor_count, metadata.get("general.alignment", _DEFAULT_ALIGNMENT))
        return GGUFHeader(version, metadata, lengths, tensors)

    def _tensors(self, count: int, alignment: Scalar) -> tuple[GGUFTensor, ...]:
        if type(alignment) is not int or not 1 <= alignment <= 2**20:
            raise self._fault("general.alignment is out of range")
        placed: dict[str, tuple[int, GGUFTensor]] = {}
        for _ in range(count):
            offset, tensor = self._tensor()
            if tensor.name in placed:
                raise self._fault(f"tensor {tensor.name!r} is given twice")
            if offset % alignment:
                raise self._fault(f"tensor {tensor.name!r} is not aligned to {alignment} bytes")
            placed[tensor.name] = (offset, tensor)
        data_start = math.ceil((self._size - self._left) / alignment) * alignment
        end = 0
        for offset, tensor in sorted(placed.values(), key=lambda item: item[0]):
            if offset < end:
                raise self._fault(f"tensor {tensor.name!r} overlaps the one before it")
            end = offset + tensor.size_bytes
        if placed and data_start + end > self._size:
            raise self._fault(f"its tensors end at byte {data_start + end}, beyond the file's {self._size}")
        return tuple(replace(tensor, start=data_start + offset) for offset, tensor in placed.values())

    def _tensor(self) -> tuple[int, GGUFTensor]:
        name = self._text()
        dimensions = self._number("<I")
        if not 0 <= dimensions <= 4:
            raise self._fault(f"tensor {name!r} has {dimensions} dimensions; at most 4 are allowed")
        shape = tuple(self._number("<Q") for _ in range(dimensions))[::-1]
        type_number, offset = self._number("<I"), self._number("<Q")
        try:
            kind = GGMLQuantizationType(type_number)
        except ValueError as error:
            raise self._fault(f"tensor {name!r} has the unknown type {type_number}") from error
        block, block_bytes = GGML_QUANT_SIZES[kind]
        if shape and shape[-1] % block:
            raise self._fault(f"tensor {name!r}: rows of {shape[-1]} values do not fill {kind.name} blocks of {block}")
        return int(offset), GGUFTensor(name, shape, kind.name, math.prod(shape) // block * block_bytes, 0)

    def _value(self, kind: int) -> Scalar:
        if kind == _TEXT:
            return self._text()
        if kind not in _SCALARS:
            raise self._fault(f"a value has the unknown type {kind}")
        value: Scalar = self._number(_SCALARS[kind])
        return value

    def _skip_array(self, depth: int = 1) -> int:
        kind = self._number("<I")
        length = self._count("array items", MAX_ARRAY_ITEMS)
        if kind in _SCALARS:
            self._skip(length * struct.calcsize(_SCALARS[kind]))
        elif kind == _TEXT:
            for _ in range(length):
                self._skip(self._number("<Q"))
        elif kind == _ARRAY and depth < MAX_ARRAY_DEPTH:
            for _ in range(length):
                self._skip_array(depth + 1)
        else:
            raise self._fault(f"an array has the unknown type {kind}" if kind != _ARRAY else "arrays nest too deep")
        return length

    def _text(self) -> str:
        length = self._number("<Q")
        if length > MAX_TEXT_BYTES:
            raise self._fault(f"a text has {length} bytes; at most {MAX_TEXT_BYTES} are read")
        try:
            return self._take(length).decode()
        except UnicodeDecodeError as error:
            raise self._fault("a text is not UTF-8") from error

    def _count(self, what: str, limit: int) -> int:
        count = self._number("<Q")
        if count > limit or count > self._left:
            raise self._fault(f"{count} {what} are more than the file can hold or {limit} allowed")
        return int(count)

    def _number(self, form: str) -> int:
        number: int = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return number

    def _take(self, count: int) -> bytes:
        if count > self._left:
            raise self._fault("ends in the middle of its header")
        self._left -= count
        return self._file.read(count)

    def _skip(self, count: int) -> None:
        if count > self._left:
            raise self._fault("ends in the middle of its header")
        self._left -= count
        self._file.seek(count, 1)

    def _fault(self, message: str) -> InvalidGGUF:
        return InvalidGGUF(f"{self._name}: {message}")
