"""Facts come from the files: what they say is reported, what they do not say stays empty, what is broken is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from inference.file_digests import file_stamps
from inference.weight_facts import WeightFacts, read_weight_facts
from inference.weight_tensors import UnreadableWeights

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "vocab_size": 10,
    "tie_word_embeddings": True,
}
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "config.json", CONFIG)
    write_json(tmp_path / "tokenizer.json", {"model": {"type": "BPE"}})
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", "chat_template": TEMPLATE})
    save_file(
        {
            "model.embed_tokens.weight": np.zeros((10, 8), np.float16),
            "model.norm.weight": np.zeros(8, np.float32),
        },
        tmp_path / "model.safetensors",
    )
    return tmp_path


def facts_with(folder: Path, **changes: Any) -> WeightFacts:
    write_json(folder / "config.json", CONFIG | changes)
    return read_weight_facts(folder)


def test_everything_that_the_files_say(folder: Path) -> None:
    facts = read_weight_facts(folder)
    assert facts.architecture == "LlamaForCausalLM"
    assert facts.model_type == "llama"
    assert facts.parameters == 88
    assert facts.tensors == 2
    assert facts.dtypes == {"F16": 80, "F32": 8}
    assert facts.weight_bytes == 192
    assert facts.tied_embeddings
    assert (facts.context_length, facts.vocabulary_size, facts.hidden_size) == (128, 10, 8)
    assert (facts.layers, facts.attention_heads, facts.key_value_heads, facts.head_size) == (1, 4, 2, 2)
    assert facts.attention == "grouped-query"
    assert (facts.tokenizer_class, facts.tokenizer_model) == ("GPT2Tokenizer", "BPE")
    assert facts.chat_template == TEMPLATE
    assert facts.chat_template_sha256 == hashlib.sha256(TEMPLATE.encode()).hexdigest()
    assert {file.name: file.sha256 for file in facts.files} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }
    assert json.loads(json.dumps(facts.as_dict()))["parameters"] == 88


@pytest.mark.parametrize(
    ("heads", "pairs", "kind"),
    [(4, 4, "multi-head"), (4, 1, "multi-query"), (4, 2, "grouped-query"), (4, None, "multi-head")],
)
def test_the_kind_of_attention_follows_from_the_heads(folder: Path, heads: int, pairs: int | None, kind: str) -> None:
    assert facts_with(folder, num_attention_heads=heads, num_key_value_heads=pairs).attention == kind


def test_a_shared_matrix_that_is_written_twice_counts_once(folder: Path) -> None:
    matrix = np.zeros((10, 8), np.float16)
    save_file({"model.embed_tokens.weight": matrix, "lm_head.weight": matrix}, folder / "model.safetensors")
    assert facts_with(folder).parameters == 80
    assert facts_with(folder, tie_word_embeddings=False).parameters == 160


def test_packed_values_are_not_counted_as_parameters(folder: Path) -> None:
    facts = facts_with(folder, quantization_config={"quant_method": "awq", "bits": 4})
    assert facts.quantisation == "awq"
    assert facts.parameters is None
    assert facts.dtypes == {"F16": 80, "F32": 8}


def test_what_the_configuration_does_not_say_stays_empty(folder: Path) -> None:
    write_json(
        folder / "config.json",
        {"hidden_size": "big", "vocab_size": True, "num_hidden_layers": -1, "architectures": "x"},
    )
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    facts = read_weight_facts(folder)
    assert (facts.hidden_size, facts.vocabulary_size, facts.layers, facts.attention) == (None, None, None, "")
    assert (facts.architecture, facts.tokenizer_class, facts.tokenizer_model, facts.chat_template) == ("", "", "", "")


def test_gpt2_says_the_same_under_names_of_its_own(folder: Path) -> None:
    named = {"n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None, "vocab_size": 50257}
    write_json(folder / "config.json", {"model_type": "gpt2", **named})
    facts = read_weight_facts(folder)
    assert (facts.context_length, facts.hidden_size, facts.intermediate_size) == (1024, 768, None)
    assert (facts.layers, facts.attention_heads, facts.head_size, facts.attention) == (12, 12, 64, "multi-head")
    assert facts.cached_numbers == 2 * 12 * 768


def test_the_text_part_of_a_larger_model_is_read(folder: Path) -> None:
    write_json(folder / "config.json", {"model_type": "vision", "text_config": {"hidden_size": 8}})
    assert read_weight_facts(folder).hidden_size == 8


def test_a_template_file_comes_before_the_configuration(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert read_weight_facts(folder).chat_template == "{{ messages }}"


def test_the_default_is_taken_of_several_templates(folder: Path) -> None:
    templates = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    write_json(folder / "tokenizer_config.json", {"chat_template": templates})
    assert read_weight_facts(folder).chat_template == "d"


def test_shards_are_read_as_one(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    save_file({"a": np.zeros(3, np.float32)}, folder / "model-1.safetensors")
    save_file({"b": np.zeros(4, np.float32)}, folder / "model-2.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    write_json(folder / "model.safetensors.index.json", index)
    facts = read_weight_facts(folder)
    assert (facts.tensors, facts.parameters) == (2, 7)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"a": "../model-1.safetensors"}}, "not the name of a safetensors file in this folder"),
        ({"weight_map": {"a": "/etc/passwd"}}, "not the name of a safetensors file"),
        ({"weight_map": {"a": "pytorch_model.bin"}}, "not the name of a safetensors file"),
        ({"weight_map": {"a": "absent.safetensors"}}, "absent.safetensors is missing"),
        ({"weight_map": {"a": "model-1.safetensors", "c": "model-1.safetensors"}}, "'c' is listed but in no file"),
        ({"weight_map": {"c": "model-1.safetensors"}}, "tensor 'a' is not listed"),
        ({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}, "'a' is in another file too"),
        ({"weight_map": ["a"]}, "must map tensors to files"),
        ({"weight_map": {str(n): f"{n}.safetensors" for n in range(1001)}}, "at most 1000 are read"),
    ],
)
def test_an_index_that_is_not_true_is_refused(folder: Path, index: object, message: str) -> None:
    save_file({"a": np.zeros(3, np.float32)}, folder / "model-1.safetensors")
    save_file({"a": np.zeros(3, np.float32), "b": np.zeros(3, np.float32)}, folder / "model-2.safetensors")
    write_json(folder / "model.safetensors.index.json", index)
    with pytest.raises(UnreadableWeights, match=message):
        read_weight_facts(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", "config.json: not JSON"),
        ("config.json", b"[]", "config.json: not a JSON object"),
        ("config.json", b'{"a": "\xff"}', "config.json: not JSON in UTF-8"),
        ("config.json", b"[" * 100_000, "config.json: not JSON"),
        ("config.json", b" " * 10_000_001, "config.json: more than 10000000 bytes"),
        ("tokenizer.json", b"nope", "tokenizer.json: not JSON"),
        ("tokenizer_config.json", b'{"chat_template": 1}', "chat template is not plain text"),
        ("tokenizer_config.json", b'{"chat_template": "\\ud800"}', "chat template is not plain text"),
        ("chat_template.jinja", b"\xff", "chat_template.jinja: not UTF-8"),
        ("chat_template.jinja", b"a\x00", "chat template is not plain text"),
        ("chat_template.jinja", b"a" * 100_001, "at most 100000 characters"),
        ("model.safetensors", b"\x80\x02}q\x00.", "model.safetensors: 6 bytes are too few"),
    ],
)
def test_a_broken_file_is_named(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(UnreadableWeights, match=message):
        read_weight_facts(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UnreadableWeights, match=f"{name} is missing"):
        read_weight_facts(folder)


def test_the_origin_is_believed_only_with_the_recorded_digest(folder: Path) -> None:
    from tests.inference.test_gguf_header import write_model

    origin = write_model(folder.parent / "origin.gguf")
    write_json(folder / "conversion.json", {"source": "origin.gguf", "source_sha256": "0" * 64, "n": 1})
    assert read_weight_facts(folder, origin=origin).origin_types == {}
    digest = hashlib.sha256(origin.read_bytes()).hexdigest()
    write_json(folder / "conversion.json", {"source": "origin.gguf", "source_sha256": digest})
    facts = read_weight_facts(folder, origin=origin)
    assert facts.origin == {"source": "origin.gguf", "source_sha256": digest}
    assert facts.origin_types == {"F32": 24, "F16": 6}
    assert facts.origin_type == "F32"
    assert read_weight_facts(folder, origin=folder / "absent.gguf").origin_types == {}


def test_stamps_change_with_the_files_and_leave_out_what_is_not_weights(folder: Path) -> None:
    before = file_stamps(folder)
    (folder / ".hidden").write_text("x")
    (folder / "digests.json").write_text("{}")
    (folder / "subfolder").mkdir()
    assert file_stamps(folder) == before
    (folder / "config.json").write_text("{} ")
    assert file_stamps(folder) != before


def test_reading_facts_loads_neither_torch_nor_transformers(folder: Path) -> None:
    code = (
        "import sys, pathlib, inference.weight_facts as w; w.read_weight_facts(pathlib.Path(sys.argv[1]));"
        "print(sorted({'torch', 'transformers', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*CONFIG, "quantization_config", "quant_method", "text_config"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*CONFIG, "quantization_config", "text_config", "head_dim"]), json_values))
@settings(max_examples=200, deadline=None)
def test_any_configuration_gives_facts_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    write_json(folder / "config.json", config)
    save_file({"a": np.zeros(1, np.float32)}, folder / "model.safetensors")
    try:
        facts = read_weight_facts(folder)
    except UnreadableWeights:
        return
    json.dumps(facts.as_dict(), ensure_ascii=False).encode()
