"""The header reader agrees with the safetensors library on good files and refuses what the format forbids."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from inference import safetensors_header
from inference.safetensors_header import InvalidHeader, parse_safetensors_header, read_safetensors_header


def write(path: Path, header: object, data: bytes = b"", *, raw: bytes | None = None) -> Path:
    encoded = raw if raw is not None else json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    return path


def tensor(start: int, end: int, shape: list[int] | None = None, dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - start] if shape is None else shape, "data_offsets": [start, end]}


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
            lambda key: key != "__metadata__"
        ),
        st.tuples(
            st.sampled_from(["float32", "float16", "int64", "uint8", "bool", "int16"]),
            st.lists(st.integers(0, 5), max_size=4),
        ),
        max_size=8,
    ),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.text(max_size=8).filter(str.isprintable),
        max_size=3,
    ),
)
@settings(max_examples=60, deadline=None)
def test_it_reads_what_the_library_reads(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: dict[str, tuple[str, list[int]]],
    metadata: dict[str, str],
) -> None:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file({name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}, path, metadata or None)
    header = read_safetensors_header(path)
    with safe_open(path, "np") as oracle:
        assert {each.name for each in header.tensors} == set(oracle.keys())
        assert dict(header.metadata) == (oracle.metadata() or {})
        for each in header.tensors:
            assert list(each.shape) == oracle.get_slice(each.name).get_shape()
            assert each.dtype == oracle.get_slice(each.name).get_dtype()
    assert sum(each.size_bytes for each in header.tensors) == sum(
        np.zeros(shape, dtype).nbytes for dtype, shape in shapes.values()
    )


BROKEN: dict[str, tuple[object, bytes, str]] = {
    "overlapping tensors": ({"a": tensor(0, 4), "b": tensor(2, 6)}, b"x" * 6, "'b' overlaps"),
    "a hole": ({"a": tensor(0, 4), "b": tensor(6, 8)}, b"x" * 8, "2 bytes before tensor 'b' belong to none"),
    "a tensor beyond the file": ({"a": tensor(0, 40)}, b"x" * 4, "beyond the file's"),
    "bytes of no tensor": ({"a": tensor(0, 4)}, b"x" * 9, "the last 5 bytes belong to no tensor"),
    "a size that the shape does not have": ({"a": tensor(0, 4, [2, 3])}, b"x" * 4, "has 4 bytes, but its shape"),
    "an unknown dtype": ({"a": tensor(0, 4, dtype="PICKLE")}, b"x" * 4, "unknown dtype 'PICKLE'"),
    "a negative size": ({"a": tensor(0, 4, [-1, -4])}, b"x" * 4, "shape must be"),
    "a truth value as size": ({"a": tensor(0, 1, [True])}, b"x", "shape must be"),
    "too many dimensions": ({"a": tensor(0, 1, [1] * 33)}, b"x", "shape must be at most 32"),
    "offsets that run backwards": (
        {"a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 0]}},
        b"x" * 4,
        "data_offsets",
    ),
    "a tensor without offsets": (
        {"a": {"dtype": "U8", "shape": [4]}},
        b"x" * 4,
        "must have dtype, shape and data_offsets",
    ),
    "a tensor with more than it may have": ({"a": tensor(0, 4) | {"code": "x"}}, b"x" * 4, "alone"),
    "a tensor that is no object": ({"a": [1]}, b"", "must have dtype"),
    "metadata that is no text": ({"__metadata__": {"a": 1}}, b"", "__metadata__ must map text to text"),
    "a huge shape": ({"a": tensor(0, 4, [2**62, 2**62])}, b"x" * 4, "has 4 bytes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_it_refuses(tmp_path: Path, name: str) -> None:
    header, data, message = BROKEN[name]
    with pytest.raises(InvalidHeader, match=message):
        read_safetensors_header(write(tmp_path / "model.safetensors", header, data))


RAW: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "too few"),
    "half a length": (b"\x01\x00", "too few"),
    "a length beyond the file": ((2**63).to_bytes(8, "little") + b"{}", "beyond the file's 10"),
    "a truncated header": ((100).to_bytes(8, "little") + b'{"a"', "beyond the file"),
    "a header that is no JSON": ((5).to_bytes(8, "little") + b"{oops", "not JSON"),
    "a header that is a list": ((2).to_bytes(8, "little") + b"[]", "does not begin"),
    "bytes that are not UTF-8": ((4).to_bytes(8, "little") + b'{"\xff"', "not JSON in UTF-8"),
    "not-a-number": ((9).to_bytes(8, "little") + b'{"a":NaN}', "not JSON"),
    "deep nesting": ((60_005).to_bytes(8, "little") + b'{"a":' + b"[" * 60_000, "not JSON"),
}


@pytest.mark.parametrize("name", RAW)
def test_it_refuses_bytes_that_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(RAW[name][0])
    with pytest.raises(InvalidHeader, match=RAW[name][1]):
        read_safetensors_header(path)


def test_it_refuses_a_name_given_twice(tmp_path: Path) -> None:
    raw = b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    with pytest.raises(InvalidHeader, match="'a' is given twice"):
        read_safetensors_header(write(tmp_path / "model.safetensors", None, raw=raw))


def test_it_refuses_a_header_longer_than_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_header, "MAX_HEADER_BYTES", 10)
    with pytest.raises(InvalidHeader, match="at most 10 are read"):
        read_safetensors_header(write(tmp_path / "model.safetensors", {"a": tensor(0, 4)}, b"xxxx"))


def test_it_accepts_a_padded_header_and_an_empty_file(tmp_path: Path) -> None:
    assert read_safetensors_header(write(tmp_path / "a", None, raw=b"{}   ")).tensors == ()


def mutate(draw: Callable[[Any], Any], raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(changed) - 1))
        if draw(st.booleans()):
            changed[position] = draw(st.integers(0, 255))
        else:
            del changed[position : position + draw(st.integers(1, 8))]
        if not changed:
            return b"\x00"
    return bytes(changed)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_damaged_files_raise_one_error_and_what_is_accepted_the_library_accepts(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    header = json.dumps({"a": tensor(0, 8, [2], "F32"), "b": tensor(8, 12, [4]), "__metadata__": {"k": "v"}}).encode()
    whole = mutate(data.draw, len(header).to_bytes(8, "little") + header + bytes(12))
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    path.write_bytes(whole)
    try:
        ours = read_safetensors_header(path)
    except InvalidHeader:
        return
    try:
        with safe_open(path, "np") as oracle:
            assert {each.name for each in ours.tensors} == set(oracle.keys())
    except SafetensorError as error:
        # The dtypes that this reader knows and the installed library does not yet.
        assert "dtype" in str(error).lower() or "variant" in str(error).lower()  # noqa: PT017


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_raise_one_error_or_are_a_header(raw: bytes) -> None:
    try:
        parse_safetensors_header(b"{" + raw, data_bytes=8, name="x")
    except InvalidHeader as error:
        assert str(error).startswith("x: ")  # noqa: PT017
