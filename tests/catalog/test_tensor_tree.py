"""A model's tensors as a tree: nothing is lost, equal layers are shown once, and shares are of the whole file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from inference.gguf_header import read_gguf_header
from inference.weight_tensors import read_tensors
from portal.catalog.tensor_rows import TensorRow, gguf_rows, matching_rows, pack_rows, safetensors_rows, unpack_rows
from portal.catalog.tensor_tree import MAX_BRANCH_ROWS, MAX_ROWS, TreeStep, number_ranges, tree_steps, type_shares


def row(name: str, shape: tuple[int, ...] = (4, 2), dtype: str = "BF16") -> TensorRow:
    return TensorRow(name, dtype, shape, int(np.prod(shape)) * 2)


def drawn(steps: tuple[TreeStep, ...]) -> list[str]:
    """The tree as indented lines."""
    lines, depth = [], 0
    for step in steps:
        if step.kind == "close":
            depth -= 1
            continue
        count = f" x{step.repeats}" if step.repeats > 1 else ""
        lines.append("  " * depth + (f"... {step.left_out}" if step.kind == "cut" else step.label + count))
        depth += step.kind == "open"
    assert depth == 0
    return lines


def test_equal_layers_are_one_branch_and_the_others_keep_their_own() -> None:
    rows = [row("model.embed_tokens.weight", (10, 4))]
    for layer in range(4):
        rows.append(row(f"model.layers.{layer}.attn.q.weight"))
        rows.append(row(f"model.layers.{layer}.attn.k.weight", (2, 2) if layer == 2 else (4, 2)))
    assert drawn(tree_steps(tuple(rows))) == [
        "model",
        "  embed_tokens.weight",
        "  layers",
        "    0\N{EN DASH}1, 3 x3",
        "      attn",
        "        q.weight",
        "        k.weight",
        "    2",
        "      attn",
        "        q.weight",
        "        k.weight",
    ]


def test_experts_inside_layers_multiply() -> None:
    rows = tuple(row(f"layers.{layer}.experts.{expert}.up") for layer in range(3) for expert in range(8))
    steps = tree_steps(rows)
    assert drawn(steps) == ["layers", "  0\N{EN DASH}2 x3", "    experts", "      0\N{EN DASH}7 x8", "        up"]
    leaf = next(step for step in steps if step.kind == "tensor")
    assert (leaf.times, leaf.size_bytes, leaf.total_bytes) == (24, 16, 384)
    assert [step.tensors for step in steps if step.kind == "open"] == [24, 24, 24, 24]


def test_a_tensor_whose_name_begins_others_is_shown_beside_them() -> None:
    assert drawn(tree_steps((row("a"), row("a.b"), row("a.c")))) == ["a", "a", "  b", "  c"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([0, 1, 2], "0\N{EN DASH}2"),
        ([0, 2, 3], "0, 2\N{EN DASH}3"),
        (list(range(0, 40, 4)), "0, 4, 8, 12, \N{HORIZONTAL ELLIPSIS}, 36"),
    ],
)
def test_numbers_are_read_as_runs(numbers: list[int], text: str) -> None:
    assert number_ranges(numbers) == text


NAMES = st.lists(st.text("ab.01", max_size=12), unique=True, max_size=40)


@given(NAMES)
def test_whatever_the_names_every_tensor_is_counted_once(names: list[str]) -> None:
    rows = tuple(row(name, (index % 3 + 1, 2)) for index, name in enumerate(names))
    steps = tree_steps(rows)
    leaves = [step for step in steps if step.kind == "tensor"]
    assert sum(step.times for step in leaves) == len(rows)
    assert sum(step.total_bytes for step in leaves) == sum(each.size_bytes for each in rows)
    assert sum(step.kind == "open" for step in steps) == sum(step.kind == "close" for step in steps)


@given(NAMES)
def test_packing_loses_nothing(names: list[str]) -> None:
    rows = tuple(row(name) for name in names)
    assert unpack_rows(pack_rows(rows)) == rows


def test_a_very_wide_file_is_cut_and_says_so() -> None:
    steps = tree_steps(tuple(row(f"t{number}") for number in range(MAX_BRANCH_ROWS + 3)))
    assert drawn(steps)[-1] == "... 3"
    wide = tuple(row(f"b{branch}.t{number}", (number + 1, branch + 1)) for branch in range(100) for number in range(99))
    steps = tree_steps(wide)
    assert sum(step.kind in {"open", "tensor"} for step in steps) == MAX_ROWS
    assert drawn(steps)[-1].startswith("... ")


def test_a_very_deep_name_is_one_leaf() -> None:
    name = "a." * 100_000 + "b"
    assert drawn(tree_steps((row(name), row("c")))) == [name, "c"]


def test_a_hundred_thousand_tensors_take_a_moment_and_few_rows() -> None:
    rows = tuple(
        row(f"model.layers.{layer}.mlp.experts.{expert}.{part}_proj.weight")
        for layer in range(130)
        for expert in range(256)
        for part in ("gate", "up", "down")
    )
    assert len(rows) == 99_840
    started = time.process_time()
    steps = tree_steps(unpack_rows(pack_rows(rows)))
    assert time.process_time() - started < 5  # about 1.5 s where it was measured
    assert sum(step.kind in {"open", "tensor"} for step in steps) == 7


def test_types_say_where_the_bytes_are() -> None:
    small, large = type_shares((row("a", (2,), "F32"), row("b", (3, 4)), row("c")))[::-1]
    assert (large.dtype, large.tensors, large.values, large.size_bytes) == ("BF16", 2, 20, 40)
    assert (small.dtype, small.tensors, small.values, small.size_bytes) == ("F32", 1, 2, 4)


def test_a_search_needs_every_word_in_name_or_type() -> None:
    rows = (row("model.norm.weight", dtype="F32"), row("model.q_proj.weight"))
    assert matching_rows(rows, "NORM f32") == [rows[0]]
    assert matching_rows(rows, "norm bf16") == []
    assert matching_rows(rows, "") == list(rows)


def test_rows_are_what_safetensors_itself_says(tmp_path: Path) -> None:
    index: dict[str, str] = {}
    for shard in (1, 2):
        name = f"model-{shard}.safetensors"
        arrays = {f"layer.{shard}.{n}": np.zeros((shard, n + 1), np.float16) for n in range(5)} | {
            f"scale.{shard}": np.ones((), np.float32)
        }
        save_file(arrays, tmp_path / name)
        index |= dict.fromkeys(arrays, name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    rows = {each.name: each for each in safetensors_rows(read_tensors(tmp_path).values())}
    assert rows.keys() == index.keys()
    for name, shard in index.items():
        with safe_open(tmp_path / shard, "numpy") as file:
            part = file.get_slice(name)
            array = file.get_tensor(name)
        assert rows[name].dtype == part.get_dtype()
        assert list(rows[name].shape) == part.get_shape()
        assert rows[name].size_bytes == array.nbytes


def expect_what_gguf_says(path: Path) -> None:
    rows = {each.name: each for each in gguf_rows(read_gguf_header(path).tensors)}
    tensors = GGUFReader(path).tensors
    assert {tensor.name for tensor in tensors} == rows.keys()
    for tensor in tensors:
        mine = rows[tensor.name]
        assert (mine.dtype, list(mine.shape)) == (tensor.tensor_type.name, [int(n) for n in tensor.shape][::-1])
        assert (mine.size_bytes, mine.values) == (int(tensor.n_bytes), int(tensor.n_elements))


def test_rows_are_what_gguf_itself_says(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tensor("blk.0.attn_q.weight", np.zeros((4, 32), np.float32))
    writer.add_tensor("output_norm.weight", np.zeros(32, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    expect_what_gguf_says(path)


@pytest.mark.weights
def test_the_tree_of_smollm2_is_true_to_its_files(prepared_weights: Path) -> None:
    rows = safetensors_rows(read_tensors(prepared_weights).values())
    with safe_open(prepared_weights / "model.safetensors", "numpy") as file:
        assert {each.name for each in rows} == set(file.keys())
        for each in rows:
            part = file.get_slice(each.name)
            assert (each.dtype, list(each.shape)) == (part.get_dtype(), part.get_shape())
    assert drawn(tree_steps(tuple(rows)))[:3] == ["model", "  embed_tokens.weight", "  layers"]
    assert any("0\N{EN DASH}29 x30" in line for line in drawn(tree_steps(tuple(rows))))
