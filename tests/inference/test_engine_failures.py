"""What goes wrong for one request stays with that request, and has a code and a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from inference.chat_prompt import Prompt, PromptRenderer
from inference.detokenizer import Vocabulary
from inference.engine import GenerationRequest, Message
from inference.events import Failed, FailureCode, Finished, FinishReason
from inference.fused_decoder import FusedDecoder
from inference.key_value_slots import KeyValueSlots, Place
from inference.sampling_params import SamplingParams
from inference.step_plan import Span
from inference.transformers_engine import TransformersEngine, load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.tiny_models import CONTEXT, save_tiny_model

POISON = 399  # a token that no test prompt holds


def _request(name: str, text: str = "tell me", **params: Any) -> GenerationRequest:
    values = {"temperature": 0, "max_tokens": 8, "min_tokens": 8, **params}
    return GenerationRequest(request_id=name, messages=(Message("user", text),), params=SamplingParams(**values))


def _expect_bad_alone_to_fail(recorder: Recorder, code: FailureCode) -> None:
    ended = recorder.wait_for_end("good", "bad")
    assert isinstance(ended, Failed)
    assert ended.code is code
    assert isinstance(recorder.wait_for_end("good"), Finished)


@pytest.fixture
def engine(tiny_folder: FolderMaker, recorder: Recorder) -> Iterator[TransformersEngine]:
    engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="float32", kv_budget_tokens=CONTEXT, threads=1)
    yield engine
    engine.close(0)


def test_a_prompt_beyond_the_context_fails_alone(engine: TransformersEngine, recorder: Recorder) -> None:
    engine.submit(_request("long", "dog " * CONTEXT))
    engine.submit(_request("good"))
    ended = recorder.wait_for_end("good", "long")
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.CONTEXT_EXCEEDED
    assert str(CONTEXT - 1) in ended.message
    assert isinstance(recorder.wait_for_end("good"), Finished)


def test_a_prompt_beyond_the_memory_fails_alone(tiny_folder: FolderMaker, recorder: Recorder) -> None:
    engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="float32", kv_budget_tokens=300)
    engine.submit(_request("long", "dog " * 300))
    ended = recorder.wait_for_end("long")
    engine.close(0)
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.OUT_OF_MEMORY


def test_an_answer_ends_where_the_memory_does(tiny_folder: FolderMaker, recorder: Recorder) -> None:
    engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="float32", kv_budget_tokens=64)
    engine.submit(_request("a", max_tokens=500, min_tokens=500))
    ended = recorder.wait_for_end("a")
    engine.close(0)
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.LENGTH
    assert ended.usage.prompt_tokens + ended.usage.completion_tokens == 64


def test_more_requests_than_memory_wait_for_their_turn(tiny_folder: FolderMaker, recorder: Recorder) -> None:
    engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="float32", kv_budget_tokens=600, threads=1)
    names = [f"r{number}" for number in range(9)]
    for name in names:
        engine.submit(_request(name))
    recorder.wait_for_end(*names)
    engine.close(0)
    assert all(len(recorder.tokens(name)) == 8 for name in names)
    most_at_once = max(len({each.request_id for each in step}) for step in recorder.steps[1:])
    assert most_at_once <= 4


def test_a_bias_beyond_the_vocabulary_is_refused_by_name(engine: TransformersEngine, recorder: Recorder) -> None:
    engine.submit(_request("a", logit_bias={100_000: 1.0}))
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.UNSUPPORTED
    assert ended.message.startswith("logit_bias")


def test_an_empty_prompt_without_a_template_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    engine = load_engine(save_tiny_model("gpt2", tmp_path, chat=False), listener=recorder, dtype="float32")
    engine.submit(_request("a", ""))
    ended = recorder.wait_for_end("a")
    engine.close(0)
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.TOKENIZER


def test_a_base_model_without_a_template_continues_the_text(tmp_path: Path, recorder: Recorder) -> None:
    engine = load_engine(save_tiny_model("gpt2", tmp_path, chat=False), listener=recorder, dtype="float32")
    engine.submit(_request("a", "The quick brown"))
    recorder.wait_for_end("a")
    engine.close(0)
    started = recorder.events("a")[0]
    assert getattr(started, "rendered_prompt", None) == "The quick brown"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), FailureCode.OUT_OF_MEMORY),
        (MemoryError(), FailureCode.OUT_OF_MEMORY),
        (IndexError("index out of range in self"), FailureCode.INTERNAL),
    ],
)
def test_a_poisoned_request_fails_alone_and_the_others_are_right(
    error: Exception,
    code: FailureCode,
    engine: TransformersEngine,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.submit(_request("before"))
    recorder.wait_for_end("before")
    real = FusedDecoder.logits

    def poisoned(self: FusedDecoder, spans: Sequence[Span]) -> Tensor:
        if any(POISON in span.tokens for span in spans):
            raise error
        return real(self, spans)

    monkeypatch.setattr(FusedDecoder, "logits", poisoned)
    engine.submit(_request("bad", logit_bias={POISON: 100.0}))
    engine.submit(_request("good"))
    ended = recorder.wait_for_end("good", "bad")
    assert isinstance(ended, Failed)
    assert ended.code is code
    assert [token.id for token in recorder.tokens("good")] == [token.id for token in recorder.tokens("before")]


def test_numbers_that_overflow_fail_alone(
    engine: TransformersEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FusedDecoder.logits

    def overflowing(self: FusedDecoder, spans: Sequence[Span]) -> Tensor:
        logits = real(self, spans)
        for index, span in enumerate(spans):
            if POISON in span.tokens:
                logits[index] = torch.nan
        return logits

    monkeypatch.setattr(FusedDecoder, "logits", overflowing)
    engine.submit(_request("bad", logit_bias={POISON: 100.0}))
    engine.submit(_request("good"))
    _expect_bad_alone_to_fail(recorder, FailureCode.NUMERICAL)


def test_an_error_in_the_step_itself_ends_its_requests_and_not_the_engine(
    engine: TransformersEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise KeyError("no such thing")

    with monkeypatch.context() as patch:
        patch.setattr("inference.batch_runner.choose", broken)
        engine.submit(_request("a"))
        ended = recorder.wait_for_end("a")
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.INTERNAL
    engine.submit(_request("b"))
    assert isinstance(recorder.wait_for_end("b"), Finished)
    assert engine.is_alive


def test_an_error_while_admitting_fails_that_request_alone(
    engine: TransformersEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PromptRenderer.render

    def render(self: PromptRenderer, request: GenerationRequest) -> Prompt:
        if request.request_id == "bad":
            raise TypeError("unsupported operand")
        return real(self, request)

    monkeypatch.setattr(PromptRenderer, "render", render)
    engine.submit(_request("good"))
    engine.submit(_request("bad"))
    _expect_bad_alone_to_fail(recorder, FailureCode.INTERNAL)


def test_a_tokenizer_error_in_the_answer_fails_that_request_alone(
    engine: TransformersEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Vocabulary.text

    def text(self: Vocabulary, token_id: int) -> str:
        if token_id == POISON:
            raise UnicodeError("no such piece")
        return real(self, token_id)

    monkeypatch.setattr(Vocabulary, "text", text)
    engine.submit(_request("bad", logit_bias={POISON: 100.0}))
    engine.submit(_request("good"))
    _expect_bad_alone_to_fail(recorder, FailureCode.TOKENIZER)


def test_no_memory_for_a_slot_fails_that_request_alone(
    engine: TransformersEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.submit(_request("before"))
    recorder.wait_for_end("before")
    real = KeyValueSlots.take

    def take(self: KeyValueSlots, length: int) -> Place | None:
        if length > 1_000:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(self, length)

    monkeypatch.setattr(KeyValueSlots, "take", take)
    engine.submit(_request("bad", max_tokens=2_000))
    engine.submit(_request("good"))
    _expect_bad_alone_to_fail(recorder, FailureCode.OUT_OF_MEMORY)


def test_stop_strings_across_token_borders_are_not_shown(engine: TransformersEngine, recorder: Recorder) -> None:
    engine.submit(_request("whole", max_tokens=40, min_tokens=40))
    recorder.wait_for_end("whole")
    whole = recorder.text("whole")
    stop = next(whole[at : at + 4] for at in range(6, len(whole)) if whole.find(whole[at : at + 4]) == at)
    engine.submit(_request("cut", max_tokens=40, min_tokens=0, stop=(stop,)))
    ended = recorder.wait_for_end("cut")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert recorder.text("cut") == whole[: whole.find(stop)]
    assert ended.usage.completion_tokens == len(recorder.tokens("cut"))
