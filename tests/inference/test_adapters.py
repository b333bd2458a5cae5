"""A LoRA adapter shares its base's weights and batches, and writes the tokens that peft's own model writes."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.engine import Engine, EngineClosed, GenerationRequest, Message
from inference.events import Failed, FailureCode, Finished, Released
from inference.fused_decoder import FusedDecoder
from inference.linear_layers import PlainLinear
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine
from inference.weight_folder import WeightsRefused
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.tiny_models import CORPUS

NEW_TOKENS = 20
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
# Fused (with and without biases and query norms), packed (with Conv1D, with experts, with sinks), one by one.
TARGETS = {
    "llama": "all-linear",
    "qwen2": "all-linear",
    "qwen3": "all-linear",
    "gpt2": "all-linear",
    "mixtral": ATTENTION,
    "gpt_oss": ATTENTION,
    "deepseek_v3": ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"],
}
AdapterMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def adapter_folder(tiny_folder: FolderMaker, tmp_path_factory: pytest.TempPathFactory) -> AdapterMaker:
    """An adapter with random weights on all linear layers, saved by peft."""

    made: dict[str, Path] = {}

    def make(architecture: str, *, seed: int = 1, **options: Any) -> Path:
        key = repr((architecture, seed, options))
        if key in made:
            return made[key]
        model: Any = AutoModelForCausalLM.from_pretrained(tiny_folder(architecture), dtype=torch.float32)
        values: dict[str, Any] = {
            "r": 4,
            "lora_alpha": 16,
            "target_modules": TARGETS[architecture],
            "task_type": "CAUSAL_LM",
        } | options
        adapted = get_peft_model(model, LoraConfig(**values))
        torch.manual_seed(seed)
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.15)
        folder = tmp_path_factory.mktemp(f"{architecture}-adapter")
        adapted.save_pretrained(str(folder))
        made[key] = folder
        return folder

    return make


def _request(name: str, text: str, **params: Any) -> GenerationRequest:
    values = {"temperature": 0, "max_tokens": NEW_TOKENS, "min_tokens": NEW_TOKENS, **params}
    return GenerationRequest(
        request_id=name, messages=(Message("user", text),), params=SamplingParams(**values), completion=True
    )


def _generated(base: Path, adapter: Path | None, prompts: list[str]) -> list[list[int]]:
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    tokenizer = AutoTokenizer.from_pretrained(base)
    results = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        output = model.generate(
            **inputs, do_sample=False, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, pad_token_id=0
        )
        results.append(output[0, inputs["input_ids"].shape[1] :].tolist())
    return results


def _ids(recorder: Recorder, name: str) -> list[int]:
    return [token.id for token in recorder.tokens(name)]


@pytest.fixture
def engine(tiny_folder: FolderMaker, recorder: Recorder) -> Iterator[TransformersEngine]:
    engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="float32", max_batch=4, threads=1)
    yield engine
    engine.close(0)


@pytest.mark.parametrize("architecture", TARGETS)
def test_greedy_equals_pefts_own_generate_alone_and_in_mixed_company(
    architecture: str, tiny_folder: FolderMaker, adapter_folder: AdapterMaker, recorder: Recorder
) -> None:
    base, first = tiny_folder(architecture), adapter_folder(architecture)
    second = adapter_folder(
        architecture, seed=2, r=6, use_rslora=True, alpha_pattern={"o_proj": 7}, rank_pattern={"c_attn": 3}
    )
    sides = {"plain": None, "first": first, "second": second}
    expected = {side: _generated(base, folder, CORPUS) for side, folder in sides.items()}
    engine = load_engine(base, listener=recorder, dtype="float32", max_batch=8, threads=2)
    engines: dict[str, Engine] = {
        "plain": engine,
        "first": engine.with_adapter(first, name="first"),
        "second": engine.with_adapter(second, name="second"),
    }
    engines["first"].submit(_request("alone", CORPUS[1]))
    recorder.wait_for_end("alone")
    names = [(side, number) for number in range(len(CORPUS)) for side in engines]
    for side, number in names:
        engines[side].submit(_request(f"{side}-{number}", CORPUS[number]))
    recorder.wait_for_end(*(f"{side}-{number}" for side, number in names))
    # Once more, when the prompts are remembered: a prefix computed with one adapter must not serve another.
    for side, number in names:
        engines[side].submit(_request(f"again-{side}-{number}", CORPUS[number]))
    recorder.wait_for_end(*(f"again-{side}-{number}" for side, number in names))
    engine.close(0)
    assert len({str(tokens) for tokens in expected.values()}) == 3, "an adapter changes nothing"
    assert _ids(recorder, "alone") == expected["first"][1]
    for side, number in names:
        assert _ids(recorder, f"{side}-{number}") == expected[side][number], (side, number)
        assert _ids(recorder, f"again-{side}-{number}") == expected[side][number], (side, number)


def test_an_adapter_adds_only_its_own_tensors(engine: TransformersEngine, adapter_folder: AdapterMaker) -> None:
    def storages() -> dict[int, int]:
        gc.collect()
        tensors = [each for each in gc.get_objects() if type(each) is torch.Tensor]
        tensors += [linear._weight for linear in gc.get_objects() if type(linear) is PlainLinear]
        return {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}

    def weights() -> list[int]:
        (decoder,) = [each for each in gc.get_objects() if type(each) is FusedDecoder and each._layers]
        joined: list[Any] = [each.query_key_value for each in decoder._layers]
        return [each._base._weight.data_ptr() for each in joined]

    folder = adapter_folder("llama")
    before, pointers = storages(), weights()
    adapted = engine.with_adapter(folder)
    added = {pointer: size for pointer, size in storages().items() if pointer not in before}
    assert weights() == pointers
    assert sum(added.values()) <= (folder / "adapter_model.safetensors").stat().st_size
    adapted.close(0)
    assert not engine._adapters._attached


def test_an_adapter_on_int8_weights_changes_what_is_written(
    tiny_folder: FolderMaker, adapter_folder: AdapterMaker, recorder: Recorder
) -> None:
    engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="int8")
    adapted = engine.with_adapter(adapter_folder("llama"))
    engine.submit(_request("plain", CORPUS[0]))
    adapted.submit(_request("adapted", CORPUS[0]))
    recorder.wait_for_end("plain", "adapted")
    engine.close(0)
    assert _ids(recorder, "plain") != _ids(recorder, "adapted")


def test_closing_an_adapter_releases_its_requests_and_leaves_the_base_running(
    engine: TransformersEngine, adapter_folder: AdapterMaker, recorder: Recorder
) -> None:
    adapted = engine.with_adapter(adapter_folder("llama"))
    adapted.submit(_request("endless", CORPUS[0], max_tokens=4_000, min_tokens=4_000))
    engine.submit(_request("plain", CORPUS[1], max_tokens=200, min_tokens=200))
    recorder.wait_for_deltas("endless", 3)
    adapted.close(0)
    assert isinstance(recorder.events("endless")[-1], Released)
    assert isinstance(recorder.wait_for_end("plain"), Finished)
    with pytest.raises(EngineClosed):
        adapted.submit(_request("late", CORPUS[0]))


def test_closing_an_adapter_lets_its_requests_end_in_time(
    engine: TransformersEngine, adapter_folder: AdapterMaker, recorder: Recorder
) -> None:
    adapted = engine.with_adapter(adapter_folder("llama"))
    adapted.submit(_request("short", CORPUS[0]))
    adapted.close(30)
    assert isinstance(recorder.events("short")[-1], Finished)


def test_an_adapter_takes_the_bases_cancellation_and_says_what_it_is(
    engine: TransformersEngine, adapter_folder: AdapterMaker, recorder: Recorder
) -> None:
    adapted = engine.with_adapter(adapter_folder("llama"), name="pirate")
    adapted.submit(_request("a", CORPUS[0], max_tokens=4_000, min_tokens=4_000))
    recorder.wait_for_deltas("a", 2)
    adapted.cancel("a")
    assert isinstance(recorder.wait_for_end("a"), Finished)
    facts: Any = adapted.provenance()
    assert facts["weights_sha256"] == engine.provenance()["weights_sha256"]
    assert (facts["adapter"]["name"], facts["adapter"]["ranks"], facts["adapter"]["alpha"]) == ("pirate", [4], 16.0)
    assert len(facts["adapter"]["sha256"]) == 64


def test_a_request_for_an_unknown_adapter_fails_by_name(engine: TransformersEngine, recorder: Recorder) -> None:
    message = (Message("user", "tell me"),)
    engine.submit(GenerationRequest(request_id="a", messages=message, params=SamplingParams(), adapter="nobody"))
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.UNSUPPORTED
    assert "nobody" in ended.message


def _edit(**values: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return edit


def _pickle(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def _truncate(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def _drop_the_config(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_pickle, "pickled"),
        (_truncate, "beyond"),
        (_drop_the_config, "adapter_config.json"),
        (_edit(auto_map={"x": "y.Z"}), "code"),
        (_edit(base_model_name_or_path="meta-llama/Llama-3.2-1B"), "was trained on meta-llama/Llama-3.2-1B, not on"),
        (_edit(base_model_name_or_path=None), "base_model_name_or_path"),
        (_edit(peft_type="IA3"), "IA3"),
        (_edit(use_dora=True), "use_dora"),
        (_edit(bias="all"), "bias"),
        (_edit(modules_to_save=["lm_head"]), "modules_to_save"),
        (_edit(init_lora_weights="pissa"), "pissa"),
        (_edit(lora_alpha="many"), "lora_alpha"),
        (_edit(alpha_pattern={"(a+)+b": 3}), "alpha_pattern"),
    ],
)
def test_a_spoilt_adapter_is_refused_with_the_reason(
    spoil: Callable[[Path], None],
    reason: str,
    engine: TransformersEngine,
    adapter_folder: AdapterMaker,
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(adapter_folder("llama"), tmp_path / "adapter")
    spoil(folder)
    with pytest.raises(WeightsRefused, match=reason):
        engine.with_adapter(folder)


def test_an_adapter_of_another_shape_or_architecture_is_refused_by_module(
    engine: TransformersEngine, adapter_folder: AdapterMaker, tiny_folder: FolderMaker, tmp_path: Path
) -> None:
    name = tiny_folder("llama").name
    foreign = shutil.copytree(adapter_folder("gpt2"), tmp_path / "gpt2")
    _edit(base_model_name_or_path=name)(foreign)
    with pytest.raises(WeightsRefused, match=r"transformer\.h\.0\..*cannot be adapted"):
        engine.with_adapter(foreign)
    wider = shutil.copytree(adapter_folder("llama"), tmp_path / "wider")
    tensors = load_file(wider / "adapter_model.safetensors")
    module = "model.layers.1.mlp.down_proj"
    up = f"base_model.model.{module}.lora_B.weight"
    save_file(tensors | {up: tensors[up].repeat(2, 1)}, wider / "adapter_model.safetensors")
    with pytest.raises(WeightsRefused, match=f"{module} has another size"):
        engine.with_adapter(wider)


def test_a_name_is_given_once(engine: TransformersEngine, adapter_folder: AdapterMaker) -> None:
    folder = adapter_folder("llama")
    engine.with_adapter(folder, name="a")
    with pytest.raises(WeightsRefused, match="attached already"):
        engine.with_adapter(folder, name="a")
