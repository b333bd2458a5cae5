"""An answer's given beginning is exact, comes out with its log-probabilities, and the model goes on from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.engine import GenerationRequest, Message
from inference.events import Channel, Failed, FailureCode, Finished, FinishReason, Started
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.tiny_models import CORPUS, save_tiny_model

TOLERANCE = 2e-4
END = 2  # <|im_end|>


def _request(name: str, prefix: str | tuple[int, ...] = (), **fields: Any) -> GenerationRequest:
    params = {"temperature": 0, "max_tokens": 8, "min_tokens": 8, **fields.pop("params", {})}
    messages = fields.pop("messages", (Message("user", CORPUS[1]),))
    return GenerationRequest(
        request_id=name, messages=messages, params=SamplingParams(**params), answer_prefix=prefix, **fields
    )


@pytest.fixture(scope="module")
def listener() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def engine(tiny_folder: FolderMaker, listener: Recorder) -> Iterator[TransformersEngine]:
    engine = load_engine(tiny_folder("llama"), listener=listener, dtype="float32", threads=1)
    yield engine
    engine.close(0)


def _ids(listener: Recorder, name: str) -> list[int]:
    return [token.id for token in listener.tokens(name)]


def _plain_logprobs(folder: Any, given_ids: list[int]) -> torch.Tensor:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return torch.log_softmax(model(input_ids=torch.tensor([given_ids])).logits[0], dim=-1)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "deepseek_v3"])
def test_given_tokens_are_emitted_exactly_with_the_models_logprobs(
    architecture: str, tiny_folder: FolderMaker, recorder: Recorder
) -> None:
    """On the fused, the packed and the sequential path; longer than the rows that one step measures."""
    folder = tiny_folder(architecture)
    engine = load_engine(folder, listener=recorder, dtype="float32", threads=1)
    prefix = tuple(50 + (37 * at) % 300 for at in range(75))
    # Company that reads and writes at the same time.
    engine.submit(_request("other", messages=(Message("user", " ".join(CORPUS)),)))
    engine.submit(_request("a", prefix, params={"top_logprobs": 3}))
    ended = recorder.wait_for_end("other", "a")
    engine.close(0)
    assert isinstance(ended, Finished)
    tokens = recorder.tokens("a")
    assert tuple(token.id for token in tokens[:75]) == prefix
    assert len(tokens) == 83 == ended.usage.completion_tokens
    started = recorder.events("a")[0]
    assert isinstance(started, Started)
    assert started.rendered_prompt.endswith("<|im_start|>assistant\n")
    prompt = AutoTokenizer.from_pretrained(folder)(started.rendered_prompt)["input_ids"]
    assert ended.usage.prompt_tokens == len(prompt)
    logprobs = _plain_logprobs(folder, [*prompt, *(token.id for token in tokens)])
    for at, token in enumerate(tokens, start=len(prompt)):
        row = logprobs[at - 1]
        assert token.logprob == pytest.approx(float(row[token.id]), abs=TOLERANCE)
        assert [each.id for each in token.top] == torch.topk(row, 3).indices.tolist()
    assert [token.id for token in tokens[75:]] == [int(logprobs[len(prompt) + 74 + at].argmax()) for at in range(8)]


def test_a_run_given_its_own_beginning_goes_on_as_it_did(engine: TransformersEngine, listener: Recorder) -> None:
    params = {"temperature": 1.1, "seed": 5, "min_tokens": 0, "max_tokens": 20, "logit_bias": {END: -100.0}}
    params |= {"frequency_penalty": 0.6, "repetition_penalty": 1.1}
    engine.submit(_request("whole", params=params))
    listener.wait_for_end("whole")
    whole = _ids(listener, "whole")
    engine.submit(_request("rest", tuple(whole[:9]), params=params | {"max_tokens": 11}))
    listener.wait_for_end("rest")
    assert _ids(listener, "rest") == whole


def test_a_beginning_in_words_is_part_of_the_answer(engine: TransformersEngine, listener: Recorder) -> None:
    engine.submit(_request("words", "The quick é🎉 "))
    listener.wait_for_end("words")
    assert listener.text("words").startswith("The quick é🎉 ")
    again = tuple(_ids(listener, "words"))
    engine.submit(_request("by id", again[:-8]))
    listener.wait_for_end("by id")
    assert tuple(_ids(listener, "by id")) == again


def test_a_given_end_of_text_ends_the_answer(engine: TransformersEngine, listener: Recorder) -> None:
    engine.submit(_request("ended", (60, 61, END, 62)))
    ended = listener.wait_for_end("ended")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert _ids(listener, "ended") == [60, 61]
    assert ended.usage.completion_tokens == 2


def test_a_stop_string_across_the_given_border_is_not_shown(engine: TransformersEngine, listener: Recorder) -> None:
    engine.submit(_request("open", "abc"))
    listener.wait_for_end("open")
    stop = "c" + listener.text("open")[3]
    engine.submit(_request("stopped", "abc", params={"stop": (stop,), "min_tokens": 0}))
    ended = listener.wait_for_end("stopped")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert listener.text("stopped") == "ab"


@pytest.mark.parametrize(
    ("prefix", "code", "word"),
    [
        ((5, 100_000), FailureCode.UNSUPPORTED, "answer_prefix: token 100000"),
        ((-1,), FailureCode.UNSUPPORTED, "answer_prefix: token -1"),
        ((60,) * 8_190, FailureCode.CONTEXT_EXCEEDED, "beginning of the answer 8190"),
    ],
)
def test_an_impossible_beginning_is_refused(
    prefix: tuple[int, ...], code: FailureCode, word: str, engine: TransformersEngine, listener: Recorder
) -> None:
    name = f"refused {word}"
    engine.submit(_request(name, prefix))
    ended = listener.wait_for_end(name)
    assert isinstance(ended, Failed)
    assert ended.code is code
    assert word in ended.message


def test_a_beginning_inside_the_thinking_is_thinking(tmp_path: Any, recorder: Recorder) -> None:
    folder = save_tiny_model("llama", tmp_path, extra_special=("<think>", "</think>"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prefix = tuple(tokenizer("<think>so the</think>yes", add_special_tokens=False)["input_ids"])
    engine = load_engine(folder, listener=recorder, dtype="float32", threads=1)
    engine.submit(_request("a", prefix))
    ended = recorder.wait_for_end("a")
    engine.close(0)
    assert isinstance(ended, Finished)
    thought = tokenizer("<think>so the</think>", add_special_tokens=False)["input_ids"]
    assert ended.usage.reasoning_tokens == len(thought) < ended.usage.completion_tokens
    assert recorder.text("a", Channel.THINKING) == "so the"
    assert recorder.text("a").startswith("yes")


def test_a_beginning_in_words_is_the_answer_of_a_harmony_model_too(tmp_path: Any, recorder: Recorder) -> None:
    marks = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")
    folder = save_tiny_model("gpt_oss", tmp_path, extra_special=marks)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "<|start|>").replace("<|im_end|>\n", "<|end|>"))
    engine = load_engine(folder, listener=recorder, dtype="float32", threads=1)
    engine.submit(_request("chat", "The dog"))
    engine.submit(_request("plain", "The dog", completion=True))
    recorder.wait_for_end("chat", "plain")
    engine.close(0)
    assert recorder.text("chat").startswith("The dog")
    assert recorder.text("plain").startswith("The dog")
    marks_told = [token.text for token in recorder.tokens("chat")][:3]
    assert (marks_told[0], recorder.tokens("plain")[0].text) == ("<|channel|>", "The")


# --- Scores


def _score(name: str, text: str, **fields: Any) -> GenerationRequest:
    params = fields.pop("params", {})
    return GenerationRequest(
        request_id=name,
        messages=(Message("user", text),),
        params=SamplingParams(**params),
        completion=True,
        score=True,
        **fields,
    )


def test_a_text_is_measured_as_a_plain_pass_measures_it(
    tiny_folder: FolderMaker, engine: TransformersEngine, listener: Recorder
) -> None:
    folder = tiny_folder("llama")
    text = " ".join(CORPUS) + "<|im_end|> and on"
    engine.submit(_request("company"))
    engine.submit(_score("text", text, params={"top_logprobs": 2}))
    ended = listener.wait_for_end("company", "text")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    ids = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    assert ended.usage.prompt_tokens == len(ids)
    assert ended.usage.completion_tokens == 0
    tokens = listener.tokens("text")
    assert [token.id for token in tokens] == ids
    assert listener.text("text") == text.replace("<|im_end|>", "")
    logprobs = _plain_logprobs(folder, ids)
    assert tokens[0].logprob is None
    expected = [float(logprobs[at - 1, ids[at]]) for at in range(1, len(ids))]
    assert [token.logprob for token in tokens[1:]] == pytest.approx(expected, abs=TOLERANCE)
    assert all(len(token.top) == 2 for token in tokens[1:])


@settings(max_examples=15, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_any_text_comes_back_whole_and_measured(engine: TransformersEngine, listener: Recorder, text: str) -> None:
    name = f"any {len(listener.steps)}"
    engine.submit(_score(name, text))
    assert isinstance(listener.wait_for_end(name), Finished)
    tokens = listener.tokens(name)
    assert [token.logprob is None for token in tokens] == [True] + [False] * (len(tokens) - 1)


def test_an_answer_is_measured_behind_its_prompt(engine: TransformersEngine, listener: Recorder) -> None:
    engine.submit(_request("given", "the dog sleeps"))
    engine.submit(_request("scored", "the dog sleeps", score=True, params={"stop": ("dog",)}))
    ended = listener.wait_for_end("given", "scored")
    assert isinstance(ended, Finished)
    scored = listener.tokens("scored")
    assert listener.text("scored") == "the dog sleeps"
    assert ended.usage.completion_tokens == len(scored)
    same = listener.tokens("given")[: len(scored)]
    assert [token.id for token in scored] == [token.id for token in same]
    assert [token.logprob for token in scored] == pytest.approx([token.logprob for token in same], abs=TOLERANCE)
