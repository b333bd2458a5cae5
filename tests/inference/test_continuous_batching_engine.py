"""The engine on transformers' own continuous batching, on TEST_DEVICE: promises, tokens, parameters, failures."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.continuous_batching.model_runner import ModelRunner

from inference.continuous_batching_engine import ContinuousBatchingEngine, load_continuous_batching_engine
from inference.engine import GenerationRequest, Message
from inference.events import Failed, FailureCode, Finished, FinishReason
from inference.sampling_params import SamplingParams
from inference.transformers_engine import load_engine
from inference.weight_folder import WeightsRefused
from tests.inference.conftest import FolderMaker
from tests.inference.engine_contract import EngineContract, EngineMaker
from tests.inference.recorder import Recorder
from tests.inference.tiny_models import CORPUS

NEW_TOKENS = 16
# The processor unless somebody with an accelerator asks: TEST_DEVICE=cuda python -m pytest tests/inference/…
DEVICE = os.environ.get("TEST_DEVICE", "cpu")


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """The manager collects garbage twice whenever it stops, which takes a second with all that tests have loaded."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


POISON = 399  # a token that no test prompt holds


class TestContinuousBatchingEngineContract(EngineContract):
    @pytest.fixture
    def make_engine(self, tiny_folder: FolderMaker) -> EngineMaker:
        folder = tiny_folder("llama")
        return lambda listener: load_continuous_batching_engine(
            folder, listener=listener, device=DEVICE, dtype="float32", max_batch=8
        )


@pytest.fixture(scope="module")
def listener() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def engine(tiny_folder: FolderMaker, listener: Recorder) -> Iterator[ContinuousBatchingEngine]:
    engine = load_continuous_batching_engine(
        tiny_folder("llama"), listener=listener, device=DEVICE, dtype="float32", kv_budget_tokens=8_192
    )
    yield engine
    engine.close(0)


def _request(name: str, text: str = CORPUS[1], **fields: Any) -> GenerationRequest:
    params = {"temperature": 0, "max_tokens": NEW_TOKENS, "min_tokens": NEW_TOKENS, **fields.pop("params", {})}
    return GenerationRequest(
        request_id=name, messages=(Message("user", text),), params=SamplingParams(**params), completion=True, **fields
    )


def _ids(recorder: Recorder, name: str) -> list[int]:
    return [token.id for token in recorder.tokens(name)]


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma3", "mixtral"])
def test_greedy_equals_generate_in_company(architecture: str, tiny_folder: FolderMaker, recorder: Recorder) -> None:
    folder = tiny_folder(architecture)
    engine = load_continuous_batching_engine(folder, listener=recorder, device=DEVICE, dtype="float32")
    for number, text in enumerate(CORPUS):
        engine.submit(_request(f"r{number}", text))
        engine.submit(_request(f"noise{number}", text[::-1], params={"temperature": 1.2, "seed": 1}))
    recorder.wait_for_end(*(f"r{number}" for number in range(len(CORPUS))))
    engine.close(0)
    load: Any = AutoModelForCausalLM.from_pretrained
    model = load(folder, dtype=torch.float32).to(DEVICE)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for number, text in enumerate(CORPUS):
        inputs = tokenizer(text, return_tensors="pt").to(DEVICE)
        options = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "pad_token_id": 0}
        output = model.generate(**inputs, do_sample=False, **options)
        assert _ids(recorder, f"r{number}") == output[0, inputs["input_ids"].shape[1] :].tolist()


PARAMS: dict[str, dict[str, Any]] = {
    "sampled": {"temperature": 0.9, "top_p": 0.8, "top_k": 50, "seed": 7, "top_logprobs": 4},
    "penalised": {"temperature": 0.7, "min_p": 0.02, "repetition_penalty": 1.2, "frequency_penalty": 0.5, "seed": 3},
    "biased": {"logit_bias": {65: 5.0, 70: -100.0}, "presence_penalty": 1.0},
}


def test_every_parameter_means_what_it_means_in_the_other_engine(
    engine: ContinuousBatchingEngine, listener: Recorder, tiny_folder: FolderMaker, recorder: Recorder
) -> None:
    other = load_engine(tiny_folder("llama"), listener=recorder, dtype="float32", threads=1)
    for name, params in PARAMS.items():
        engine.submit(_request(name, params=params))
        other.submit(_request(name, params=params))
    listener.wait_for_end(*PARAMS)
    recorder.wait_for_end(*PARAMS)
    other.close(0)
    for name in PARAMS:
        mine, theirs = listener.tokens(name), recorder.tokens(name)
        assert [token.id for token in mine] == [token.id for token in theirs]
        assert [token.logprob for token in mine] == pytest.approx([token.logprob for token in theirs], abs=1e-3)
        assert [[each.id for each in token.top] for token in mine] == [
            [each.id for each in token.top] for token in theirs
        ]


def test_a_given_beginning_is_continued(engine: ContinuousBatchingEngine, listener: Recorder) -> None:
    params = {"temperature": 1.0, "seed": 4}
    engine.submit(_request("whole", params=params))
    listener.wait_for_end("whole")
    whole = _ids(listener, "whole")
    left = {"max_tokens": NEW_TOKENS - 6, "min_tokens": NEW_TOKENS - 6}
    engine.submit(_request("rest", answer_prefix=tuple(whole[:6]), params=params | left))
    ended = listener.wait_for_end("rest")
    assert _ids(listener, "rest") == whole
    assert [token.logprob is None for token in listener.tokens("rest")] == [True] * 6 + [False] * (NEW_TOKENS - 6)
    assert isinstance(ended, Finished)
    assert ended.usage.completion_tokens == NEW_TOKENS


def test_a_stop_string_ends_the_answer_unseen(engine: ContinuousBatchingEngine, listener: Recorder) -> None:
    engine.submit(_request("all"))
    listener.wait_for_end("all")
    stop = listener.text("all")[4:7]
    engine.submit(_request("cut", params={"stop": (stop,), "min_tokens": 0}))
    ended = listener.wait_for_end("cut")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert listener.text("cut") == listener.text("all")[: listener.text("all").find(stop)]


@pytest.mark.parametrize(
    ("fields", "code", "begins"),
    [
        ({"adapter": "lora"}, FailureCode.UNSUPPORTED, "adapter:"),
        ({"score": True}, FailureCode.UNSUPPORTED, "score:"),
        ({"params": {"logit_bias": {100_000: 1.0}}}, FailureCode.UNSUPPORTED, "logit_bias:"),
        ({"text": "dog " * 9_000}, FailureCode.CONTEXT_EXCEEDED, "The prompt has"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(
    fields: dict[str, Any], code: FailureCode, begins: str, engine: ContinuousBatchingEngine, listener: Recorder
) -> None:
    name = f"refused {begins}"
    engine.submit(_request(name, **fields))
    ended = listener.wait_for_end(name)
    assert isinstance(ended, Failed)
    assert ended.code is code
    assert ended.message.startswith(begins)


def test_a_request_that_breaks_the_step_fails_alone_and_the_others_are_right(
    engine: ContinuousBatchingEngine, listener: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled = {"temperature": 1.0, "seed": 9}
    engine.submit(_request("before", params=sampled))
    listener.wait_for_end("before")
    real = ModelRunner.compute_batch

    def poisoned(self: ModelRunner, model: Any, batch: dict[str, Any]) -> None:
        if POISON in batch["input_ids"]:
            raise RuntimeError("CUDA out of memory")
        real(self, model, batch)

    monkeypatch.setattr(ModelRunner, "compute_batch", poisoned)
    engine.submit(_request("good", params=sampled))
    engine.submit(_request("bad", params={"logit_bias": {POISON: 100.0}}))
    engine.submit(_request("good too"))
    ended = listener.wait_for_end("good", "good too", "bad")
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.OUT_OF_MEMORY
    assert _ids(listener, "bad") == [POISON]
    assert _ids(listener, "good") == _ids(listener, "before")
    assert isinstance(listener.wait_for_end("good too"), Finished)
    engine.submit(_request("after", params=sampled))
    assert isinstance(listener.wait_for_end("after"), Finished)
    assert _ids(listener, "after") == _ids(listener, "before")


def test_numbers_that_overflow_fail_alone(
    engine: ContinuousBatchingEngine, listener: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ModelRunner._forward_process_and_sample

    def overflowing(self: ModelRunner, model: Any, batch: dict[str, Any], *rest: Any) -> None:
        def spoilt(**inputs: Any) -> Any:
            output = model(**inputs)
            rows = (inputs["input_ids"][0, inputs["logits_indices"]] == POISON).nonzero()[:, 0]
            output.logits[0, rows] = torch.nan
            return output

        real(self, spoilt, batch, *rest)

    monkeypatch.setattr(ModelRunner, "_forward_process_and_sample", overflowing)
    engine.submit(_request("nan", params={"logit_bias": {POISON: 100.0}}))
    engine.submit(_request("fine"))
    ended = listener.wait_for_end("fine", "nan")
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.NUMERICAL
    assert isinstance(listener.wait_for_end("fine"), Finished)


def test_rounded_weights_and_too_little_memory_are_refused(
    tiny_folder: FolderMaker, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsRefused, match="int8 weights run on the processor alone"):
        load_continuous_batching_engine(tiny_folder("llama"), listener=recorder, device="cpu", dtype="int8")
    monkeypatch.setattr("inference.continuous_batching_engine.available_memory", lambda: 1_000)
    with pytest.raises(WeightsRefused, match="GiB"):
        load_continuous_batching_engine(tiny_folder("llama"), listener=recorder, device="cpu")
