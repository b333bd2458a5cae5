"""The real model: its folder holds the published facts, it answers, stops, and equals `model.generate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.engine import GenerationRequest, Message
from inference.events import Finished, FinishReason, Started
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine
from tests.inference.recorder import Recorder

QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Count from one to five.",
    "Translate 'good morning' to French.",
)


@pytest.fixture(scope="module")
def listener() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def engine(smollm2_folder: Path, listener: Recorder) -> Iterator[TransformersEngine]:
    engine = load_engine(smollm2_folder, listener=listener, dtype="float32", threads=1)
    yield engine
    engine.close(0)


def _request(name: str, *messages: Message, **params: Any) -> GenerationRequest:
    values = {"temperature": 0, "max_tokens": 24, **params}
    return GenerationRequest(request_id=name, messages=messages, params=SamplingParams(**values))


def test_the_folder_holds_the_published_facts(smollm2_folder: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(smollm2_folder, dtype=torch.bfloat16)
    config = model.config
    assert (config.vocab_size, config.num_hidden_layers, config.hidden_size) == (49_152, 30, 576)
    assert (config.num_attention_heads, config.num_key_value_heads) == (9, 3)
    assert config.max_position_embeddings == 8_192
    assert model.num_parameters() == 134_515_008
    tokenizer: Any = AutoTokenizer.from_pretrained(smollm2_folder)
    assert (tokenizer.eos_token, tokenizer.eos_token_id, model.generation_config.eos_token_id) == ("<|im_end|>", 2, 2)
    assert "named SmolLM, trained by Hugging Face" in tokenizer.chat_template
    assert tokenizer.model_max_length == 8_192


def test_digits_and_the_spaces_before_them_are_cut_as_in_training(smollm2_folder: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(smollm2_folder)
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("x =   2024")["input_ids"])
    assert pieces == ["x", "Ġ=", "ĠĠĠ", "2", "0", "2", "4"]


def test_it_answers_and_stops_at_the_end_of_its_turn(engine: TransformersEngine, listener: Recorder) -> None:
    engine.submit(_request("capital", Message("user", QUESTIONS[0])))
    ended = listener.wait_for_end("capital")
    assert listener.text("capital") == "The capital of France is Paris."
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    started = listener.events("capital")[0]
    assert isinstance(started, Started)
    assert started.rendered_prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_a_system_prompt_replaces_the_templates_own(engine: TransformersEngine, listener: Recorder) -> None:
    engine.submit(_request("system", Message("system", "You are terse."), Message("user", "Hi"), max_tokens=2))
    listener.wait_for_end("system")
    started = listener.events("system")[0]
    assert isinstance(started, Started)
    assert started.rendered_prompt.startswith("<|im_start|>system\nYou are terse.<|im_end|>\n")


def test_a_final_assistant_message_is_continued(engine: TransformersEngine, listener: Recorder) -> None:
    turns = (Message("user", QUESTIONS[0]), Message("assistant", "The capital of"))
    engine.submit(_request("prefix", *turns))
    listener.wait_for_end("prefix")
    assert listener.text("prefix").startswith(" France is Paris")


def test_greedy_equals_generate_alone_and_in_company(
    engine: TransformersEngine, listener: Recorder, smollm2_folder: Path
) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(smollm2_folder, dtype=torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(smollm2_folder)
    expected = []
    for question in QUESTIONS:
        chat = [{"role": "user", "content": question}]
        inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        output = model.generate(**inputs, do_sample=False, max_new_tokens=24)[0, inputs["input_ids"].shape[1] :]
        expected.append([token for token in output.tolist() if token != tokenizer.eos_token_id])
    engine.submit(_request("alone", Message("user", QUESTIONS[1])))
    listener.wait_for_end("alone")
    names = [f"q{number}" for number in range(len(QUESTIONS))]
    for name, question in zip(names, QUESTIONS, strict=True):
        engine.submit(_request(name, Message("user", question)))
        engine.submit(_request(f"noise-{name}", Message("user", question * 9), temperature=1.2, seed=1))
    listener.wait_for_end(*names)
    assert [token.id for token in listener.tokens("alone")] == expected[1]
    assert [[token.id for token in listener.tokens(name)] for name in names] == expected


def test_provenance_names_weights_template_and_libraries(engine: TransformersEngine) -> None:
    facts = engine.provenance()
    assert facts["forward"] != "sequential"
    assert facts["dtype"] == "float32"
    digests = facts["weights_sha256"]
    assert isinstance(digests, dict)
    assert [len(digest) for digest in digests.values()] == [64]
    assert len(str(facts["chat_template_sha256"])) == 64
    assert facts["libraries"]["torch"] == torch.__version__ or torch.__version__.startswith(  # type: ignore[index]
        str(facts["libraries"]["torch"])  # type: ignore[index]
    )
