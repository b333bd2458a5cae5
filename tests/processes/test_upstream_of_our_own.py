"""One Steelyard as the upstream of another: the engine against a running installation's `/v1`, on the real weights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference.engine import GenerationRequest, Message
from inference.events import Failed, FailureCode, Finished, FinishReason
from inference.sampling_params import SamplingParams
from inference.upstream_engine import UpstreamEngine
from inference.upstream_models import list_models
from inference.upstream_request import DIALECTS
from tests.inference.recorder import Recorder
from tests.services.installation import Installation, manage

pytestmark = [pytest.mark.processes, pytest.mark.weights]


@pytest.fixture(scope="module")
def upstream(portal: Installation) -> tuple[str, str]:
    """The base URL of an installation, and a token."""
    made = manage(portal.home, "create_token", "--user", "admin", "--scope", "read", "submit")
    assert made.returncode == 0, made.stderr
    return f"http://127.0.0.1:{portal.port}/v1", made.stdout.strip()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(upstream: tuple[str, str], recorder: Recorder) -> Iterator[UpstreamEngine]:
    url, token = upstream
    model = list_models(url, token)[0]
    assert model["context_length"] == 8192
    engine = UpstreamEngine(recorder, base_url=url, model=model["id"], dialect=DIALECTS["steelyard"], key=token)
    yield engine
    engine.close(0)


def asked(request_id: str, text: str = "What is the capital of France?", **params: object) -> GenerationRequest:
    messages = (Message("user", text),)
    return GenerationRequest(request_id=request_id, messages=messages, params=SamplingParams(**params))


def test_an_answer_comes_with_tokens_alternatives_and_counts(engine: UpstreamEngine, recorder: Recorder) -> None:
    engine.submit(asked("a", temperature=0, max_tokens=24, top_logprobs=3))
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Finished), ended
    tokens = recorder.tokens("a")
    assert recorder.text("a") == "".join(token.text for token in tokens) != ""
    assert ended.usage.completion_tokens == len(tokens)
    assert ended.usage.prompt_tokens > 0
    assert not ended.usage.is_counted
    assert all(len(token.top) == 3 and token.top[0].logprob == token.logprob <= 0 for token in tokens)


def test_every_parameter_is_taken(engine: UpstreamEngine, recorder: Recorder) -> None:
    params = {
        "temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.01, "repetition_penalty": 1.1, "seed": 7,
        "presence_penalty": 0.1, "frequency_penalty": 0.1, "logit_bias": {5: -2.0}, "stop": ("zzz",), "min_tokens": 4,
    }  # fmt: skip
    engine.submit(asked("a", max_tokens=8, **params))
    engine.submit(asked("b", max_tokens=8, **params))
    assert all(isinstance(recorder.wait_for_end(name), Finished) for name in ("a", "b"))


def test_cancel_stops_the_run_there(engine: UpstreamEngine, recorder: Recorder) -> None:
    for name in ("a", "b", "c", "d", "e", "f"):
        # More at once than one person may have running: each must be stopped there for the next to be taken.
        engine.submit(asked(name, "Write a very long story.", max_tokens=2_000, min_tokens=2_000))
        recorder.wait_for_deltas(name, 2)
        engine.cancel(name)
        ended = recorder.wait_for_end(name)
        assert isinstance(ended, Finished)
        assert ended.finish_reason is FinishReason.CANCELLED


def test_a_refusal_there_is_a_sentence_here(upstream: tuple[str, str], recorder: Recorder) -> None:
    url, token = upstream
    for model, key, part in (("no/such:model", token, "does not know the model"), ("x", "sy_wrong", "key (401)")):
        engine = UpstreamEngine(recorder, base_url=url, model=model, dialect=DIALECTS["steelyard"], key=key)
        engine.submit(asked(model))
        failed = recorder.wait_for_end(model)
        engine.close(0)
        assert isinstance(failed, Failed)
        assert failed.code is FailureCode.UPSTREAM
        assert part in failed.message
