"""Weight-only formats: a rounded layer multiplies by exactly the weights it says, and int4 has the levels of Q4_1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.engine import GenerationRequest, Message
from inference.linear_layers import INT4_BLOCK, Int4Linear, Int8Linear, RoundedLinear, int4_blocks
from inference.sampling_params import SamplingParams
from inference.transformers_engine import load_engine
from inference.weight_folder import WeightsRefused
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.rounded_models import ROUNDERS, Rounder, by_int4, by_int8, save_rounded
from tests.inference.tiny_models import CORPUS

NEW_TOKENS = 16


@pytest.mark.parametrize("rows", [1, 6, 7, 12, 40])
@pytest.mark.parametrize(("layer", "rounder"), [(Int8Linear, by_int8), (Int4Linear, by_int4)])
def test_a_rounded_layer_multiplies_by_the_rounded_weights(
    layer: type[RoundedLinear], rounder: Rounder, rows: int
) -> None:
    torch.manual_seed(rows)
    weight, bias = rounder(torch.randn(48, 96)), torch.randn(48).bfloat16()
    inputs = torch.randn(rows, 96).bfloat16()
    expected = inputs.float() @ weight.float().T + bias.float()
    product = layer(weight, bias)(inputs)
    assert product.dtype is torch.bfloat16
    torch.testing.assert_close(product.float(), expected, rtol=0.02, atol=0.15)


def test_weights_out_of_a_q4_1_file_get_the_files_own_levels_again() -> None:
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(5))
    stored = gguf.quants.quantize(weight.numpy(), gguf.GGMLQuantizationType.Q4_1)
    # A block: scale and least value in float16, then the levels of its first half in the low four bits.
    blocks = stored.reshape(64, -1, 20)
    scale_and_least = torch.from_numpy(blocks[..., :4].copy().view(np.float16).astype(np.float32))
    packed = torch.from_numpy(blocks[..., 4:].astype(np.int32))
    file_levels = torch.cat((packed & 15, packed >> 4), dim=-1)
    # As a prepared folder has them: dequantised, and rounded to bfloat16.
    prepared = torch.from_numpy(gguf.quants.dequantize(stored, gguf.GGMLQuantizationType.Q4_1)).bfloat16()
    levels, scales, centres = int4_blocks(prepared)
    assert torch.equal(levels, file_levels)
    scale, least = scale_and_least.unbind(-1)
    torch.testing.assert_close(scales.float(), scale, rtol=0.01, atol=0)
    torch.testing.assert_close(centres.float(), least + 8 * scale, rtol=0, atol=0.02)


def test_equal_weights_stay_what_they_are() -> None:
    weight = torch.full((16, 2 * INT4_BLOCK), 0.5, dtype=torch.bfloat16)
    product = Int4Linear(weight, None)(torch.ones(1, 2 * INT4_BLOCK, dtype=torch.bfloat16))
    assert torch.equal(product, torch.full((1, 16), float(INT4_BLOCK), dtype=torch.bfloat16))


@pytest.mark.parametrize("count", [3, 20])
@pytest.mark.parametrize("make_linear", [Int8Linear, Int4Linear])
def test_weights_rounded_a_few_rows_at_a_time_are_the_same(
    make_linear: type[RoundedLinear], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of few rows int4 has a product of its own.
    random = torch.Generator().manual_seed(8)
    weight = torch.randn(64, 96, generator=random).bfloat16()
    rows = torch.randn(count, 96, generator=random).bfloat16()
    at_once = make_linear(weight, None)(rows)
    monkeypatch.setattr("inference.linear_layers.ROUNDED_AT_ONCE", 7 * 96)
    assert torch.equal(make_linear(weight, None)(rows), at_once)


@pytest.mark.parametrize("make_linear", [Int8Linear, Int4Linear])
def test_the_weights_that_are_rounded_stay_as_they_are(make_linear: type[RoundedLinear]) -> None:
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(8))
    before = weight.clone()
    make_linear(weight, None)
    assert torch.equal(weight, before)


def test_a_width_without_whole_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks of 32, and a layer is 48 wide"):
        Int4Linear(torch.zeros(16, 48, dtype=torch.bfloat16), None)


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_an_architecture_that_cannot_be_rounded_is_refused(
    dtype: str, tiny_folder: FolderMaker, recorder: Recorder
) -> None:
    with pytest.raises(WeightsRefused, match=f"{dtype} weights are not supported for the architecture gpt2"):
        load_engine(tiny_folder("gpt2"), listener=recorder, dtype=dtype)


def _regret(folder: Path, prompt: str, answer: list[int]) -> float:
    """By how many nats a token of the answer was at most less probable than the best one, in float32."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompt_ids = AutoTokenizer.from_pretrained(folder)(prompt)["input_ids"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt_ids, *answer]])).logits[0, len(prompt_ids) - 1 : -1]
    chosen = logits.gather(1, torch.tensor(answer)[:, None])[:, 0]
    return float((logits.amax(dim=-1) - chosen).max())


@pytest.mark.parametrize("company", [1, 14])
@pytest.mark.parametrize("dtype", ROUNDERS)
def test_greedy_takes_the_best_token_of_the_rounded_weights(
    dtype: str, company: int, tiny_folder: FolderMaker, recorder: Recorder, tmp_path: Path
) -> None:
    folder = save_rounded(tiny_folder("llama"), dtype, tmp_path)
    engine = load_engine(folder, listener=recorder, dtype=dtype, threads=2)
    assert engine.provenance()["forward"] == f"fused {dtype}"
    names = [f"r{number}" for number in range(company)]
    prompts = [CORPUS[number % 2] for number in range(company)]
    params = SamplingParams(temperature=0, max_tokens=NEW_TOKENS, min_tokens=NEW_TOKENS)
    for name, prompt in zip(names, prompts, strict=True):
        engine.submit(
            GenerationRequest(request_id=name, messages=(Message("user", prompt),), params=params, completion=True)
        )
    recorder.wait_for_end(*names)
    engine.close(0)
    # What bfloat16 makes of near ties is all that may differ.
    for number in (0, company - 1):
        answer = [token.id for token in recorder.tokens(names[number])]
        assert len(answer) == NEW_TOKENS
        assert _regret(folder, prompts[number], answer) < 0.3
