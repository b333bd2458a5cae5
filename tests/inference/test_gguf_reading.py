"""One reading of a GGUF file's head for all who ask: the same as gguf's own, and nothing stays replaced."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from inference.gguf_reading import QuickReader, read_once


@pytest.fixture
def small_gguf(tmp_path: Path) -> Path:
    path = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("small")
    writer.add_token_list(["<s>", "a", "ä", "字", ""])
    writer.add_token_types([3, 1, 1, 1, 1])
    writer.add_float32("llama.rope.freq_base", 10000.0)
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_tensor("token_embd.weight", np.arange(20, dtype=np.float32).reshape(5, 4))
    writer.add_tensor("output_norm.weight", np.ones(4, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_quick_reader_reads_what_gguf_s_own_reads(small_gguf: Path) -> None:
    quick, own = QuickReader(small_gguf), gguf.GGUFReader(small_gguf)

    assert {name: (field.contents(), field.types) for name, field in quick.fields.items()} == {
        name: (field.contents(), field.types) for name, field in own.fields.items()
    }
    assert [(each.name, each.tensor_type, each.data_offset) for each in quick.tensors] == [
        (each.name, each.tensor_type, each.data_offset) for each in own.tensors
    ]
    for left, right in zip(quick.tensors, own.tensors, strict=True):
        np.testing.assert_array_equal(left.data, right.data)


def test_a_file_of_the_other_byte_order_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "big.gguf"
    writer = gguf.GGUFWriter(path, "llama", endianess=gguf.GGUFEndian.BIG)
    writer.add_block_count(258)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    assert QuickReader(path).fields["llama.block_count"].contents() == 258


def test_whoever_asks_for_the_same_file_is_given_the_same_reading_and_for_another_its_own(
    small_gguf: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(small_gguf.read_bytes())
    with read_once(small_gguf) as reader:
        assert gguf.GGUFReader(str(small_gguf)) is reader
        assert gguf.GGUFReader(other) is not reader
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
        assert gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2) is names


def test_nothing_stays_replaced_whatever_happens_within(small_gguf: Path) -> None:
    before = gguf.GGUFReader, gguf.get_tensor_name_map
    with pytest.raises(ZeroDivisionError), read_once(small_gguf):
        raise ZeroDivisionError

    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == before


def test_a_file_that_is_none_is_refused_as_gguf_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / "none.gguf"
    path.write_bytes(b"none" * 100)
    with pytest.raises(ValueError, match="magic"), read_once(path):
        pass
