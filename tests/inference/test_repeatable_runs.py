"""A repeatable run that is alone comes out exactly the same, whatever the engine has remembered in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inference.engine import GenerationRequest, Message
from inference.events import Finished
from inference.linear_layers import NativeLinear, bfloat16_maker
from inference.sampling_params import SamplingParams
from inference.transformers_engine import TransformersEngine, load_engine
from tests.inference.recorder import Recorder

pytestmark = pytest.mark.weights
PROMPT = "Explain in two sentences how a steelyard weighs a heavy load with a small weight."


@pytest.fixture(scope="module")
def listener() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def engine(smollm2_folder: Path, listener: Recorder) -> Iterator[TransformersEngine]:
    engine = load_engine(smollm2_folder, listener=listener, dtype="bfloat16", threads=2)
    yield engine
    engine.close(0)


def _run(
    engine: TransformersEngine, listener: Recorder, name: str, prompt: str, seed: int, *, repeatable: bool
) -> Finished:
    params = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=24, min_tokens=24, seed=seed, top_logprobs=3)
    messages = (Message("user", prompt),)
    engine.submit(GenerationRequest(request_id=name, messages=messages, params=params, repeatable=repeatable))
    ended = listener.wait_for_end(name)
    assert isinstance(ended, Finished)
    return ended


def test_the_same_seed_gives_the_same_tokens_after_any_history(engine: TransformersEngine, listener: Recorder) -> None:
    for seed in (1, 7):
        _run(engine, listener, f"first-{seed}", PROMPT, seed, repeatable=True)
        _run(engine, listener, f"other-{seed}", PROMPT + " Then count to ten.", seed, repeatable=False)
        again = _run(engine, listener, f"again-{seed}", PROMPT, seed, repeatable=True)
        assert (again.usage.cached_tokens > 0) == (bfloat16_maker() is NativeLinear)
        assert listener.tokens(f"again-{seed}") == listener.tokens(f"first-{seed}")


def test_a_first_turn_takes_the_beginning_that_other_prompts_share_and_comes_out_the_same(
    engine: TransformersEngine, listener: Recorder
) -> None:
    """Read whole, and on top of what prompts in company left behind."""
    whole = GenerationRequest(
        request_id="whole",
        messages=(Message("user", "Which metals did the Romans weigh?"),),
        params=SamplingParams(temperature=0, max_tokens=24, top_logprobs=3),
        reuse_prefix=False,
    )
    engine.submit(whole)
    listener.wait_for_end("whole")
    for number in range(6):
        engine.submit(replace(whole, request_id=f"c{number}", messages=(Message("user", f"Count to {number}. " * 9),)))
    listener.wait_for_end(*(f"c{number}" for number in range(6)))
    engine.submit(replace(whole, request_id="shared", reuse_prefix=True, repeatable=True))
    ended = listener.wait_for_end("shared")
    assert isinstance(ended, Finished)
    assert (ended.usage.cached_tokens > 0) == (bfloat16_maker() is NativeLinear)
    assert listener.tokens("shared") == listener.tokens("whole")


@pytest.mark.parametrize("words", [150, 210, 330])
def test_a_prompt_of_several_pieces_comes_out_the_same_behind_a_beginning_that_was_remembered(
    engine: TransformersEngine, listener: Recorder, words: int
) -> None:
    _run(engine, listener, f"before-{words}", f"Which of {words} weights is heavier?", 1, repeatable=False)
    again = GenerationRequest(
        request_id=f"again-{words}",
        messages=(Message("user", " ".join(f"{number} weighs {words * number}" for number in range(words // 2))),),
        params=SamplingParams(temperature=0, max_tokens=8, min_tokens=8, top_logprobs=3),
        repeatable=True,
    )
    engine.submit(again)
    ended = listener.wait_for_end(again.request_id)
    assert isinstance(ended, Finished)
    assert ended.usage.prompt_tokens > 512
    assert (0 < ended.usage.cached_tokens < 100) == (bfloat16_maker() is NativeLinear)
    whole = replace(again, request_id=f"whole-{words}", repeatable=False, reuse_prefix=False)
    engine.submit(whole)
    listener.wait_for_end(whole.request_id)
    assert listener.tokens(again.request_id) == listener.tokens(whole.request_id)


def test_a_greedy_answer_that_is_guessed_ahead_repeats_to_the_last_digit(
    engine: TransformersEngine, listener: Recorder
) -> None:
    text = "The keeper rose before dawn, trimmed the lamp, and wrote the weather of the day into his book."
    prompt = f"Repeat this text twice, word for word:\n\n{text}"
    params = SamplingParams(temperature=0, max_tokens=40, top_logprobs=2)
    for name, repeatable in (("first", True), ("between", False), ("again", True)):
        steps_before = len(listener.steps)
        engine.submit(
            GenerationRequest(
                request_id=f"ahead-{name}",
                messages=(Message("user", prompt),),
                params=params,
                repeatable=repeatable,
            )
        )
        listener.wait_for_end(f"ahead-{name}")
        assert len(listener.steps) - steps_before < 0.7 * len(listener.tokens(f"ahead-{name}")), "nothing was guessed"
    assert listener.tokens("ahead-again") == listener.tokens("ahead-first")
