"""Folders that must not or cannot be loaded are refused with a reason before torch sees them."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from inference.model_loading import load_model
from inference.transformers_engine import load_engine
from inference.weight_folder import WeightsRefused, digests, read_weight_folder
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder


@pytest.fixture
def folder(tiny_folder: FolderMaker, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_folder("llama"), tmp_path / "model")


def _truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _lie_about_the_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes((2**40).to_bytes(8, "little") + file.read_bytes()[8:])


def _spoil_the_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[8:12] = b"oops"
    file.write_bytes(bytes(content))


def _empty_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def _replace_by_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _ask_for_remote_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))


def _drop_the_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _drop_the_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _escape_the_folder(folder: Path) -> None:
    index = {"weight_map": {"lm_head.weight": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _lose_a_shard(folder: Path) -> None:
    index = {"weight_map": {"lm_head.weight": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_truncate, "beyond"),
        (_lie_about_the_header, "header"),
        (_spoil_the_header, "header"),
        (_empty_the_weights, "too few"),
        (_replace_by_pickle, "pickled"),
        (_ask_for_remote_code, "code"),
        (_drop_the_tokenizer, "tokenizer"),
        (_drop_the_config, "config.json"),
        (_escape_the_folder, "outside"),
        (_lose_a_shard, "model-00002.safetensors"),
    ],
)
def test_a_spoilt_folder_is_refused_with_the_reason(
    spoil: Callable[[Path], None], reason: str, folder: Path, recorder: Recorder
) -> None:
    spoil(folder)
    with pytest.raises(WeightsRefused, match=reason):
        load_engine(folder, listener=recorder)


def test_a_missing_folder_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    with pytest.raises(WeightsRefused, match="not a folder"):
        load_engine(tmp_path / "nowhere", listener=recorder)


def test_missing_weights_are_never_filled_with_random_numbers(folder: Path, recorder: Recorder) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] += 1
    if "layer_types" in config:
        config["layer_types"] = None
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsRefused, match="lacks weights"):
        load_engine(folder, listener=recorder)


def test_two_variants_are_loaded_at_once(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    weights = load_file(folder / "model.safetensors")
    weights.pop("lm_head.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    checked = read_weight_folder(folder)
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(lambda _number: load_model(checked, torch.float32), range(8)))
    assert all(model.lm_head.weight is model.model.embed_tokens.weight for model in models)


def test_too_little_memory_is_noticed_before_loading(
    folder: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.transformers_engine.available_memory", lambda: 1_000)
    monkeypatch.setattr("inference.transformers_engine.load_model", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(WeightsRefused, match="GiB"):
        load_engine(folder, listener=recorder)


@pytest.mark.parametrize(("argument", "value"), [("dtype", "int3"), ("max_batch", 0)])
def test_arguments_out_of_range_are_refused_by_name(
    argument: str, value: object, folder: Path, recorder: Recorder
) -> None:
    with pytest.raises(ValueError, match=argument):
        load_engine(folder, listener=recorder, **{argument: value})  # type: ignore[arg-type]


def test_loading_reports_progress_up_to_the_whole(folder: Path, recorder: Recorder) -> None:
    seen: list[tuple[float, str]] = []
    engine = load_engine(
        folder, listener=recorder, dtype="float32", on_progress=lambda share, stage: seen.append((share, stage))
    )
    engine.close(0)
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(stage for _, stage in seen)


def test_digests_are_remembered_until_the_file_changes(folder: Path) -> None:
    first = digests(read_weight_folder(folder))
    remembered = json.loads((folder / "digests.json").read_text())
    assert remembered["model.safetensors"]["sha256"] == first["model.safetensors"]
    remembered["model.safetensors"]["sha256"] = "0" * 64
    (folder / "digests.json").write_text(json.dumps(remembered))
    assert digests(read_weight_folder(folder))["model.safetensors"] == "0" * 64
    (folder / "model.safetensors").touch()
    assert digests(read_weight_folder(folder)) == first


def test_a_spoilt_digest_cache_is_computed_again(folder: Path) -> None:
    (folder / "digests.json").write_text("[1, 2")
    assert len(digests(read_weight_folder(folder))["model.safetensors"]) == 64


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["..", "/etc/passwd", "model.safetensors"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)
documents = json_values.map(json.dumps) | st.dictionaries(
    st.sampled_from(["weight_map", "auto_map", "metadata"]), json_values, max_size=2
).map(json.dumps) | st.text(max_size=20) | st.just("[" * 5_000)  # fmt: skip


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(name=st.sampled_from(["config.json", "tokenizer_config.json", "model.safetensors.index.json"]), text=documents)
def test_any_text_in_a_json_file_is_a_folder_or_one_refusal(name: str, text: str, folder: Path) -> None:
    file = folder / name
    before = file.read_bytes() if file.exists() else None
    try:
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        with contextlib.suppress(WeightsRefused):
            read_weight_folder(folder)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)
