"""Guessing ahead changes when the tokens of a greedy answer come, never which they are: wrong guesses are undone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from inference.engine import GenerationRequest, Message
from inference.events import Delta, Finished, FinishReason
from inference.fused_decoder import FusedDecoder
from inference.prompt_lookup import PromptLookup
from inference.sampling_params import SamplingParams
from inference.step_plan import Span
from inference.transformers_engine import load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.recorder import Recorder
from tests.inference.tiny_models import CORPUS

NEW_TOKENS = 40
END = 2  # <|im_end|>
# On the fused and the packed path; mistral, qwen2, gemma3 and gpt_oss see a window of 16 positions.
CAN_GO_BACK = ["llama", "mistral", "qwen2", "qwen3", "gpt2", "gemma3", "mixtral", "gpt_oss"]


def _request(
    name: str, text: str = CORPUS[1], *, params: dict[str, Any] | None = None, **fields: Any
) -> GenerationRequest:
    values = {"temperature": 0, "max_tokens": NEW_TOKENS, "min_tokens": NEW_TOKENS, **(params or {})}
    return GenerationRequest(
        request_id=name, messages=(Message("user", text),), params=SamplingParams(**values), completion=True, **fields
    )


class Run:
    """What came of some requests, and in how many steps."""

    def __init__(
        self, folder: Path, requests: Sequence[GenerationRequest], *, guesses_ahead: bool, **options: Any
    ) -> None:
        self.recorder = Recorder()
        options = {"dtype": "float32", "threads": 1, **options}
        engine = load_engine(folder, listener=self.recorder, guesses_ahead=guesses_ahead, **options)
        try:
            for request in requests:
                engine.submit(request)
            self.ends = {each.request_id: self.recorder.wait_for_end(each.request_id) for each in requests}
        finally:
            engine.close(0)

    def ids(self, name: str) -> list[int]:
        return [token.id for token in self.recorder.tokens(name)]

    def steps(self, name: str) -> int:
        return sum(
            any(each.request_id == name and isinstance(each.event, Delta) for each in step)
            for step in self.recorder.steps
        )


def _guess_from(
    answers: Sequence[Sequence[int]], wrong: Callable[[], bool]
) -> Callable[[PromptLookup, int], list[int]]:
    """Guesses out of the known answers, with wrong tokens among them."""

    def propose(lookup: PromptLookup, most: int) -> list[int]:
        tokens = lookup._tokens
        for answer in answers:
            for length in range(len(answer), 0, -1):
                if tokens[-length:] == list(answer[:length]):
                    right = answer[length : length + most]
                    return [token ^ 1 if wrong() else token for token in right]
        return []

    return propose


@pytest.mark.parametrize("architecture", CAN_GO_BACK)
def test_right_and_wrong_guesses_leave_the_answer_as_it_is(
    architecture: str, tiny_folder: FolderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder(architecture)
    requests = [_request(f"r{number}", text) for number, text in enumerate(CORPUS[:3])]
    plain = Run(folder, requests, guesses_ahead=False)
    chooser = random.Random(5)
    answers = [plain.ids(each.request_id) for each in requests]
    monkeypatch.setattr(PromptLookup, "propose", _guess_from(answers, lambda: chooser.random() < 0.2))
    ahead = Run(folder, requests, guesses_ahead=True)
    for each in requests:
        assert ahead.ids(each.request_id) == plain.ids(each.request_id)
        assert ahead.recorder.text(each.request_id) == plain.recorder.text(each.request_id)
        logprobs = [token.logprob for token in plain.recorder.tokens(each.request_id)]
        assert [token.logprob for token in ahead.recorder.tokens(each.request_id)] == pytest.approx(logprobs, abs=2e-4)
    assert ahead.steps("r0") < 0.7 * plain.steps("r0"), "nothing was guessed"


@pytest.mark.parametrize(
    "params",
    [
        {"max_tokens": 17, "min_tokens": 0},
        {"max_tokens": NEW_TOKENS, "min_tokens": 9},
        {"top_logprobs": 3},
        {"repetition_penalty": 1.3, "frequency_penalty": 0.4},
        {"temperature": 1.0, "seed": 3},
    ],
    ids=str,
)
def test_every_parameter_means_the_same(
    params: dict[str, Any], tiny_folder: FolderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, request = tiny_folder("llama"), _request("a", params=params)
    plain = Run(folder, [request], guesses_ahead=False)
    answer = [*plain.ids("a"), END, END, END]
    monkeypatch.setattr(PromptLookup, "propose", _guess_from([answer], lambda: False))
    ahead = Run(folder, [request], guesses_ahead=True)
    assert ahead.ids("a") == plain.ids("a")
    mine, theirs = ahead.ends["a"], plain.ends["a"]
    assert isinstance(mine, Finished)
    assert isinstance(theirs, Finished)
    assert (mine.finish_reason, mine.usage) == (theirs.finish_reason, theirs.usage)


def test_the_end_and_a_stop_string_inside_a_guess_end_the_answer_there(
    tiny_folder: FolderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder("llama")
    plain = Run(folder, [_request("a")], guesses_ahead=False)
    answer, text = plain.ids("a"), plain.recorder.text("a")
    stop = next(text[at : at + 4] for at in range(12, len(text)) if text.find(text[at : at + 4]) == at)
    monkeypatch.setattr(PromptLookup, "propose", _guess_from([answer], lambda: False))
    ahead = Run(folder, [_request("a", params={"stop": (stop,), "min_tokens": 0})], guesses_ahead=True)
    assert ahead.recorder.text("a") == text[: text.find(stop)]
    ended = ahead.ends["a"]
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert ended.usage.completion_tokens == len(ahead.ids("a")) < NEW_TOKENS


def test_an_answer_ends_where_the_memory_does(tiny_folder: FolderMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, request = tiny_folder("llama"), _request("a", params={"max_tokens": 500, "min_tokens": 500})
    plain = Run(folder, [request], guesses_ahead=False, kv_budget_tokens=64)
    monkeypatch.setattr(PromptLookup, "propose", _guess_from([plain.ids("a")], lambda: False))
    ahead = Run(folder, [request], guesses_ahead=True, kv_budget_tokens=64)
    assert ahead.ids("a") == plain.ids("a")
    ended, plainly = ahead.ends["a"], plain.ends["a"]
    assert isinstance(ended, Finished)
    assert isinstance(plainly, Finished)
    assert (ended.finish_reason, ended.usage) == (plainly.finish_reason, plainly.usage)


def test_a_guess_whose_numbers_overflow_is_taken_back(
    tiny_folder: FolderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder("llama")
    plain = Run(folder, [_request("a")], guesses_ahead=False)
    real, spoilt = FusedDecoder.logits, []

    def overflowing(self: FusedDecoder, spans: Sequence[Span]) -> Tensor:
        logits = real(self, spans)
        if any(len(span.tokens) == span.wanted > 1 for span in spans):
            spoilt.append(len(logits))
            logits[-1] = torch.nan
        return logits

    monkeypatch.setattr(FusedDecoder, "logits", overflowing)
    monkeypatch.setattr(PromptLookup, "propose", _guess_from([plain.ids("a")], lambda: True))
    ahead = Run(folder, [_request("a")], guesses_ahead=True)
    assert len(spoilt) == 1, "a request that overflowed once guesses no more"
    assert ahead.ids("a") == plain.ids("a")


def test_what_is_remembered_of_an_answer_holds_no_wrong_guess(
    tiny_folder: FolderMaker, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder("llama")
    plain = Run(
        folder, [_request("a"), _request("whole", params={"max_tokens": 60, "min_tokens": 60})], guesses_ahead=False
    )
    whole = plain.ids("whole")
    monkeypatch.setattr(
        PromptLookup, "propose", _guess_from([whole], random.Random(1).choices([True, False], k=9_999).pop)
    )
    engine = load_engine(folder, listener=recorder, dtype="float32", threads=1)
    engine.submit(_request("a"))
    recorder.wait_for_end("a")
    rest = {"max_tokens": 20, "min_tokens": 20}
    engine.submit(_request("rest", answer_prefix=tuple(whole[:NEW_TOKENS]), params=rest))
    ended = recorder.wait_for_end("rest")
    engine.close(0)
    assert isinstance(ended, Finished)
    assert ended.usage.cached_tokens > 0
    assert [token.id for token in recorder.tokens("rest")] == whole
