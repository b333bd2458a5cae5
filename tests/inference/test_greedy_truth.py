"""Greedy tokens in float32 are those of `model.generate`, alone and in any company, for every architecture."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.engine import GenerationRequest, Message
from inference.sampling_params import SamplingParams
from inference.transformers_engine import load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.tiny_models import ARCHITECTURES, CORPUS

NEW_TOKENS = 24
LOGPROB_TOLERANCE = 2e-4


def _prompts() -> list[str]:
    chooser = random.Random(3)
    words = " ".join(CORPUS).split()
    lengths = (3, 8, 20, 45, 90, 140)
    return [" ".join(chooser.choice(words) for _ in range(length)) for length in lengths]


def _request(name: str, text: str, **params: Any) -> GenerationRequest:
    values = {"temperature": 0, "max_tokens": NEW_TOKENS, "min_tokens": NEW_TOKENS, **params}
    return GenerationRequest(
        request_id=name, messages=(Message("user", text),), params=SamplingParams(**values), completion=True
    )


def _generated(folder: Path, prompts: Sequence[str]) -> list[list[int]]:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    results = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        output = model.generate(
            **inputs, do_sample=False, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, pad_token_id=0
        )
        results.append(output[0, inputs["input_ids"].shape[1] :].tolist())
    return results


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_generate_alone_and_in_company(
    architecture: str, tiny_folder: FolderMaker, recorder: Recorder
) -> None:
    folder = tiny_folder(architecture)
    prompts = _prompts()
    expected = _generated(folder, prompts)
    engine = load_engine(folder, listener=recorder, dtype="float32", max_batch=4, threads=2)
    try:
        engine.submit(_request("alone", prompts[2]))
        recorder.wait_for_end("alone")
        for number, prompt in enumerate(prompts):
            engine.submit(_request(f"r{number}", prompt))
            engine.submit(_request(f"noise{number}", prompt[::-1], temperature=1.3, seed=number, min_tokens=0))
        names = [f"r{number}" for number in range(len(prompts))]
        recorder.wait_for_end(*names)
        found = [[token.id for token in recorder.tokens(name)] for name in names]
        alone = [token.id for token in recorder.tokens("alone")]
    finally:
        engine.close(0)
    assert len({tuple(tokens) for tokens in expected}) > 1, "the weights say the same whatever they read"
    assert alone == expected[2]
    assert found == expected


def test_architectures_take_the_fastest_path_that_fits(tiny_folder: FolderMaker, recorder: Recorder) -> None:
    paths = {}
    for architecture in ARCHITECTURES:
        engine = load_engine(tiny_folder(architecture), listener=recorder, dtype="float32")
        paths[architecture] = engine.provenance()["forward"]
        engine.close(0)
    assert paths == {
        "gpt2": "packed",
        "llama": "fused",
        "mistral": "fused",
        "qwen2": "fused",
        "qwen3": "fused",
        "gemma3": "packed",
        "mixtral": "packed",
        "deepseek_v3": "sequential",
        "gpt_oss": "packed",
    }


@pytest.mark.parametrize("path", ["fused", "packed", "sequential"])
def test_every_path_gives_the_tokens_of_generate(
    path: str, tiny_folder: FolderMaker, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "fused":
        # As in float16, of which there are no native operations.
        monkeypatch.setattr("inference.fused_decoder.KINDS", {})
    else:
        monkeypatch.setattr("inference.forward_choice.MODEL_TYPES", frozenset())
    if path == "sequential":
        monkeypatch.setattr("inference.forward_choice.fits_slots", lambda _: False)
    folder = tiny_folder("mistral")
    prompts = _prompts()
    engine = load_engine(folder, listener=recorder, dtype="float32", max_batch=4)
    assert engine.provenance()["forward"] == path
    names = [f"r{number}" for number in range(len(prompts))]
    for name, prompt in zip(names, prompts, strict=True):
        engine.submit(_request(name, prompt))
    recorder.wait_for_end(*names)
    engine.close(0)
    assert [[token.id for token in recorder.tokens(name)] for name in names] == _generated(folder, prompts)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logprobs_equal_a_plain_forward_pass(architecture: str, tiny_folder: FolderMaker, recorder: Recorder) -> None:
    folder = tiny_folder(architecture)
    prompt = _prompts()[3]
    engine = load_engine(folder, listener=recorder, dtype="float32")
    engine.submit(_request("a", prompt, top_logprobs=5, temperature=0.9, seed=11))
    recorder.wait_for_end("a")
    engine.close(0)
    tokens = recorder.tokens("a")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompt_ids = AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"]
    ids = torch.tensor([prompt_ids + [token.id for token in tokens]])
    with torch.inference_mode():
        logprobs = torch.log_softmax(model(input_ids=ids).logits[0], dim=-1)
    for offset, token in enumerate(tokens):
        row = logprobs[len(prompt_ids) + offset - 1]
        assert token.logprob == pytest.approx(float(row[token.id]), abs=LOGPROB_TOLERANCE)
        best = torch.topk(row, 5)
        assert [each.id for each in token.top] == best.indices.tolist()
        assert [each.logprob for each in token.top] == pytest.approx(best.values.tolist(), abs=LOGPROB_TOLERANCE)
