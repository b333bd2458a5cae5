"""The upstream engine against a real `transformers serve` on the real weights."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.engine import Engine, GenerationRequest, Message
from inference.events import Failed, FailureCode, Finished, FinishReason, Started
from inference.sampling_params import SamplingParams
from inference.transformers_engine import load_engine
from inference.upstream_engine import UpstreamEngine
from inference.upstream_models import list_models
from inference.upstream_request import DIALECTS
from tests.inference.recorder import Recorder
from tests.services.installation import START_WITHIN_S, eventually, free_port

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def served(smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server in float32, which needs no network."""
    port, folder = free_port(), tmp_path_factory.mktemp("serve")
    log = folder / "log"
    (folder / "cache").mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("transformers"), "serve", str(smollm2_folder), "--host", "127.0.0.1",
             "--port", str(port), "--device", "cpu", "--dtype", "float32"],
            stdout=output, stderr=subprocess.STDOUT, cwd=folder,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def healthy() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    eventually(healthy, START_WITHIN_S, "transformers serve answers")
    yield f"http://127.0.0.1:{port}/v1"
    process.terminate()
    process.wait(120)


@pytest.fixture
def engine(served: str, smollm2_folder: Path, recorder: Recorder) -> Iterator[Engine]:
    engine = UpstreamEngine(recorder, base_url=served, model=str(smollm2_folder), dialect=DIALECTS["transformers"])
    yield engine
    engine.close(0)


def asked(request_id: str, **params: object) -> GenerationRequest:
    messages = (Message("user", "What is the capital of France?"),)
    return GenerationRequest(request_id=request_id, messages=messages, params=SamplingParams(**params))


def test_greedy_is_what_our_own_engine_writes(engine: Engine, recorder: Recorder, smollm2_folder: Path) -> None:
    engine.submit(asked("a", temperature=0, max_tokens=24))
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Finished), ended
    ours = Recorder()
    local = load_engine(smollm2_folder, listener=ours, dtype="float32", max_batch=1, threads=1)
    local.submit(asked("a", temperature=0, max_tokens=24))
    expected = ours.wait_for_end("a")
    local.close(0)
    assert isinstance(expected, Finished)
    assert recorder.text("a") == ours.text("a") != ""
    assert ended.finish_reason is expected.finish_reason
    assert ended.usage.prompt_tokens == expected.usage.prompt_tokens
    assert expected.finish_reason is FinishReason.STOP
    # It counts the token that ends the answer too.
    assert ended.usage.completion_tokens == expected.usage.completion_tokens + 1
    assert not ended.usage.is_counted
    assert isinstance(recorder.events("a")[0], Started)


def test_the_length_is_kept_and_a_stop_string_is_not_shown(engine: Engine, recorder: Recorder) -> None:
    engine.submit(asked("a", temperature=0, max_tokens=5))
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Finished)
    assert (ended.finish_reason, ended.usage.completion_tokens) == (FinishReason.LENGTH, 5)
    engine.submit(asked("b", temperature=0, max_tokens=40, stop=("France",)))
    ended = recorder.wait_for_end("b")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert recorder.text("b") == "The capital of "


def test_a_temperature_samples(engine: Engine, recorder: Recorder) -> None:
    for name in ("a", "b"):
        engine.submit(asked(name, temperature=2, max_tokens=24, min_tokens=24))
        assert isinstance(recorder.wait_for_end(name), Finished), recorder.events(name)
    assert recorder.text("a") != recorder.text("b")


def test_cancel_frees_the_server_for_the_next(engine: Engine, recorder: Recorder) -> None:
    engine.submit(asked("a", temperature=1, max_tokens=2_000, min_tokens=2_000))
    recorder.wait_for_deltas("a", 3)
    engine.cancel("a")
    ended = recorder.wait_for_end("a")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.CANCELLED
    engine.submit(asked("b", temperature=0, max_tokens=3))
    assert isinstance(recorder.wait_for_end("b"), Finished)


def test_what_it_does_not_report_is_refused_by_name(engine: Engine, recorder: Recorder) -> None:
    engine.submit(asked("a", top_logprobs=2, max_tokens=3))
    engine.submit(asked("b", presence_penalty=1.0))
    ended = [recorder.wait_for_end(name) for name in ("a", "b")]
    for failed, name in zip(ended, ("top_logprobs", "presence_penalty"), strict=True):
        assert isinstance(failed, Failed)
        assert (failed.code, failed.message.partition(":")[0]) == (FailureCode.UNSUPPORTED, name)


def test_its_list_of_models_can_be_read(served: str) -> None:
    assert list_models(served) == []
