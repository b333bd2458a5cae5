"""A seeded run that is alone repeats exactly, whatever the engine has remembered in between."""

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
    params = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=40, min_tokens=40, seed=seed)
    messages = (Message("user", prompt),)
    engine.submit(GenerationRequest(request_id=name, messages=messages, params=params, reuse_prefix=reuse_prefix))
    ended = listener.wait_for_end(name)
    assert isinstance(ended, Finished)
    return ended


def test_the_same_seed_gives_the_same_tokens_after_any_history(engine: TransformersEngine, listener: Recorder) -> None:
    for seed in (1, 7, 11):
        _run(engine, listener, f"first-{seed}", PROMPT, seed, reuse_prefix=False)
        _run(engine, listener, f"other-{seed}", PROMPT + " Then count to ten.", seed, reuse_prefix=True)
        again = _run(engine, listener, f"again-{seed}", PROMPT, seed, reuse_prefix=False)
        assert again.usage.cached_tokens == 0
        assert listener.tokens(f"again-{seed}") == listener.tokens(f"first-{seed}")
