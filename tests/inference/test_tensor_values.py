"""Values out of files, piece by piece: the same as safetensors, gguf and numpy read at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from inference.gguf_header import read_gguf_header
from inference.linear_layers import Int8Linear, int4_blocks
from inference.tensor_statistics import tensor_statistics
from inference.tensor_values import UnreadableValues, pieces, stored_tensors_of, stored_tensors_of_gguf
from inference.weight_comparison import Weights, compare_weights, with_adapter
from inference.weight_rounding import ROUNDINGS, int4_rows, int8_rows, to_bfloat16
from tests.catalog.shelf import write_adapter, write_gguf

DTYPES = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "e4m3": torch.float8_e4m3fn,
    "e5m2": torch.float8_e5m2,
    "i8": torch.int8,
    "u8": torch.uint8,
    "i32": torch.int32,
    "i64": torch.int64,
    "bool": torch.bool,
}


def nothing(*numbers: int) -> None:
    return


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tensor of 7 by 11 values of each dtype."""
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(7, 11, generator=generator, dtype=torch.float64) * 20
    path = tmp_path_factory.mktemp("values")
    save_file({name: (values > 0 if name == "bool" else values.to(t)) for name, t in DTYPES.items()}, path / FILE)
    return path


FILE = "model.safetensors"


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(DTYPES)), limit=st.integers(1, 100), whole_rows=st.booleans())
def test_pieces_of_any_size_are_what_safetensors_reads(folder: Path, name: str, limit: int, whole_rows: bool) -> None:
    truth = load_file(folder / FILE)[name].to(torch.float64).numpy()
    read = list(pieces(stored_tensors_of(folder)[name], whole_rows=whole_rows, limit=limit))
    assert all(piece.size <= max(limit, 11 if whole_rows else 1) for piece in read)
    np.testing.assert_array_equal(np.concatenate([piece.reshape(-1) for piece in read]), truth.reshape(-1))


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0", "Q4_0", "F16", "F32", "BF16"])
def test_gguf_blocks_are_unpacked_as_gguf_does(tmp_path: Path, kind: str) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", kind=GGMLQuantizationType[kind])
    stored = stored_tensors_of_gguf(path)
    reader = {str(tensor.name): tensor for tensor in GGUFReader(path).tensors}
    assert {name: (tensor.start, tensor.end) for name, tensor in stored.items()} == {
        name: (tensor.data_offset, tensor.data_offset + tensor.n_bytes) for name, tensor in reader.items()
    }
    for name, tensor in reader.items():
        read = np.concatenate(list(pieces(stored[name], limit=64)))
        np.testing.assert_array_equal(read, dequantize(tensor.data, tensor.tensor_type).reshape(-1))


def test_smollm2s_own_packed_tensors_are_read_as_gguf_reads_them(smollm2_gguf: Path) -> None:
    name = "blk.3.ffn_up.weight"
    truth = next(tensor for tensor in GGUFReader(smollm2_gguf).tensors if tensor.name == name)
    read = np.concatenate(list(pieces(stored_tensors_of_gguf(smollm2_gguf)[name], limit=10_000)))
    np.testing.assert_array_equal(read, dequantize(truth.data, truth.tensor_type).reshape(-1))
    assert next(t for t in read_gguf_header(smollm2_gguf).tensors if t.name == name).type == "Q4_1"


def test_a_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1000)}, tmp_path / FILE)
    tensor = stored_tensors_of(tmp_path)["a"]
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-8])
    with pytest.raises(UnreadableValues, match="not as its header says"):
        list(pieces(tensor, limit=100))


# --- Statistics


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_statistics_are_numpys(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    floats = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, float("nan"), float("inf")])
    values = np.array(data.draw(st.lists(floats, min_size=1, max_size=60)), np.float32)
    folder = tmp_path_factory.mktemp("statistics")
    save_file({"a": torch.from_numpy(values)}, folder / FILE)
    found = tensor_statistics(stored_tensors_of(folder)["a"], nothing)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert (found.values, found.not_numbers, found.infinite) == (
        values.size,
        int(np.isnan(values).sum()),
        int(np.isinf(values).sum()),
    )
    if not finite.size:
        assert found.mean is None
        return
    assert (found.smallest, found.largest, found.zeros) == (finite.min(), finite.max(), int((finite == 0).sum()))
    assert found.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
    assert found.deviation == pytest.approx(finite.std(), rel=1e-9, abs=1e-6)
    assert found.norm == pytest.approx(np.linalg.norm(finite), rel=1e-9, abs=1e-9)
    assert sum(found.counts) == finite.size
    if len(found.counts) > 1:
        np.testing.assert_array_equal(found.counts, np.histogram(finite, np.array(found.edges))[0])


def test_a_mean_far_from_zero_keeps_its_digits(tmp_path: Path) -> None:
    values = torch.full((3_000_000,), 10_000.0) + torch.linspace(0, 1, 3_000_000)
    save_file({"a": values}, tmp_path / FILE)
    calls: list[tuple[int, int]] = []
    found = tensor_statistics(stored_tensors_of(tmp_path)["a"], lambda done, total: calls.append((done, total)))
    assert found.deviation == pytest.approx(values.double().numpy().std(), rel=1e-9)
    assert calls[-1] == (6_000_000, 6_000_000)


# --- Comparisons


def test_int8_rows_are_those_of_the_engine() -> None:
    weight = torch.randn(33, 64, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    weight[5] = 0
    layer = Int8Linear(weight, None)
    truth = layer._weight.float() * layer._scales.float()[:, None]
    np.testing.assert_array_equal(int8_rows(weight.float().numpy()), truth.numpy())


def test_int4_rows_are_those_of_the_engine() -> None:
    weight = torch.randn(9, 64, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    weight[5] = 0
    levels, scales, centres = int4_blocks(weight)
    truth = centres.float()[..., None] + (levels - 8) * scales.float()[..., None]
    np.testing.assert_array_equal(int4_rows(weight.float().numpy()), truth.flatten(1).numpy())


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_bfloat16_rounds_as_torch_does(values: list[float]) -> None:
    wide = np.array(values, np.float32)
    np.testing.assert_array_equal(to_bfloat16(wide), torch.from_numpy(wide).to(torch.bfloat16).float().numpy())


def base_weights(folder: Path, **more: torch.Tensor) -> Path:
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(2)
    tensors = {
        f"model.layers.{layer}.self_attn.q_proj.weight": torch.randn(8, 8, generator=generator) for layer in range(11)
    }
    save_file({"model.norm.weight": torch.ones(8), **tensors, **more}, folder / FILE)
    return folder


def test_the_difference_is_numpys_norm_per_tensor_and_layer(tmp_path: Path) -> None:
    first = base_weights(tmp_path / "a", extra=torch.ones(2), other=torch.ones(3))
    tensors = load_file(first / FILE)
    name = "model.layers.10.self_attn.q_proj.weight"
    changed = {key: value.clone() for key, value in tensors.items() if key != "extra"}
    changed[name] += 0.25
    changed["other"] = torch.ones(4)
    changed["more"] = torch.ones(1)
    (tmp_path / "b").mkdir()
    save_file(changed, tmp_path / "b" / FILE)
    found = compare_weights(Weights(stored_tensors_of(first)), Weights(stored_tensors_of(tmp_path / "b")), nothing)
    assert (found.only_in_first, found.only_in_second, found.reshaped) == (("extra",), ("more",), ("other",))
    apart = np.linalg.norm((changed[name] - tensors[name]).double())
    size = np.linalg.norm(tensors[name].double())
    layer = next(each for each in found.layers if each.name == "10")
    assert layer.relative == pytest.approx(apart / size)
    assert [each.name for each in found.layers] == ["", *map(str, range(11))]
    assert [each.name for each in found.tensors if each.difference_norm] == [name]
    assert found.overall.largest == pytest.approx(0.25, rel=1e-5)


def test_an_adapter_changes_its_module_by_its_product(tmp_path: Path) -> None:
    folder = base_weights(tmp_path / "tiny")
    adapter = write_adapter(tmp_path / "adapter", module="model.layers.4.self_attn.q_proj")
    base = Weights(stored_tensors_of(folder))
    found = compare_weights(base, with_adapter(base, adapter), nothing)
    factors = {
        key.split(".")[-2]: value.double() for key, value in load_file(adapter / "adapter_model.safetensors").items()
    }
    product = factors["lora_B"] @ factors["lora_A"] * 2  # alpha is twice the rank
    (changed,) = (each for each in found.tensors if each.difference_norm)
    assert changed.name == "model.layers.4.self_attn.q_proj.weight"
    # The stored matrix is float32, so the sum is rounded where it is computed with.
    assert changed.difference_norm == pytest.approx(float(product.norm()), rel=1e-6)


def test_rounding_takes_the_layers_matrices_alone(tmp_path: Path) -> None:
    folder = base_weights(tmp_path / "tiny", **{"model.embed_tokens.weight": torch.randn(9, 8)})
    tensors = stored_tensors_of(folder)
    found = compare_weights(Weights(tensors), Weights(tensors, ROUNDINGS["int8"]), nothing)
    assert {each.name for each in found.tensors if each.difference_norm} == {
        name for name in tensors if ".layers." in name
    }
    assert found.overall.relative is not None
    assert 0.001 < found.overall.relative < 0.02
    same = compare_weights(Weights(tensors), Weights(tensors), nothing)
    assert (same.overall.relative, same.overall.largest) == (0.0, 0.0)
