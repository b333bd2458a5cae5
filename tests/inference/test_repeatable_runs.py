"""A run that is alone repeats exactly if it is seeded or greedy, whatever the engine has remembered in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.engine import GenerationRequest, Message
from inference.events import Finished
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
    engine: TransformersEngine, listener: Recorder, name: str, prompt: str, seed: int, *, reuse_prefix: bool
) -> Finished:
    params = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=24, min_tokens=24, seed=seed)
    messages = (Message("user", prompt),)
    engine.submit(GenerationRequest(request_id=name, messages=messages, params=params, reuse_prefix=reuse_prefix))
    ended = listener.wait_for_end(name)
    assert isinstance(ended, Finished)
    return ended


def test_the_same_seed_gives_the_same_tokens_after_any_history(engine: TransformersEngine, listener: Recorder) -> None:
    for seed in (1, 7):
        _run(engine, listener, f"first-{seed}", PROMPT, seed, reuse_prefix=False)
        _run(engine, listener, f"other-{seed}", PROMPT + " Then count to ten.", seed, reuse_prefix=True)
        again = _run(engine, listener, f"again-{seed}", PROMPT, seed, reuse_prefix=False)
        assert again.usage.cached_tokens == 0
        assert listener.tokens(f"again-{seed}") == listener.tokens(f"first-{seed}")


def test_a_greedy_answer_that_is_guessed_ahead_repeats_to_the_last_digit(
    engine: TransformersEngine, listener: Recorder
) -> None:
    text = "The keeper rose before dawn, trimmed the lamp, and wrote the weather of the day into his book."
    prompt = f"Repeat this text twice, word for word:\n\n{text}"
    params = SamplingParams(temperature=0, max_tokens=40, top_logprobs=2)
    for name, reuse_prefix in (("first", False), ("between", True), ("again", False)):
        steps_before = len(listener.steps)
        engine.submit(
            GenerationRequest(
                request_id=f"ahead-{name}",
                messages=(Message("user", prompt),),
                params=params,
                reuse_prefix=reuse_prefix,
            )
        )
        listener.wait_for_end(f"ahead-{name}")
        assert len(listener.steps) - steps_before < 0.7 * len(listener.tokens(f"ahead-{name}")), "nothing was guessed"
    assert listener.tokens("ahead-again") == listener.tokens("ahead-first")
