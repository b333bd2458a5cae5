"""The engine's thread: a place is free within one step, waiting has its deadline too, and nothing ends in silence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from inference.batch_runner import BatchRunner
from inference.engine import EngineClosed
from inference.events import Finished, FinishReason, Released, Started
from inference.transformers_engine import TransformersEngine, load_engine
from tests.inference.conftest import FolderMaker
from tests.inference.engine_contract import ENDLESS, request
from tests.inference.recorder import Recorder


@pytest.fixture
def engine(tiny_folder: FolderMaker, recorder: Recorder) -> Iterator[TransformersEngine]:
    """With one place."""
    engine = load_engine(tiny_folder("llama"), listener=recorder, dtype="float32", max_batch=1, threads=1)
    yield engine
    engine.close(0)


def test_a_cancelled_place_is_taken_in_the_same_step(engine: TransformersEngine, recorder: Recorder) -> None:
    engine.submit(request("first", tokens=ENDLESS))
    recorder.wait_for_deltas("first", 2)
    engine.submit(request("second", tokens=3))
    engine.cancel("first")
    recorder.wait_for_end("first", "second")
    ended = next(at for at, step in enumerate(recorder.steps) if any(isinstance(each.event, Finished) for each in step))
    names = [each.request_id for each in recorder.steps[ended] if isinstance(each.event, Started)]
    assert names == ["second"]


def test_the_deadline_counts_while_waiting_for_a_place(engine: TransformersEngine, recorder: Recorder) -> None:
    engine.submit(request("first", tokens=ENDLESS))
    engine.submit(request("late", tokens=3, deadline_s=0.2))
    ended = recorder.wait_for_end("late")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.DEADLINE
    assert ended.usage.completion_tokens == 0
    assert not recorder.has_ended("first")


def test_a_request_that_waits_is_cancelled(engine: TransformersEngine, recorder: Recorder) -> None:
    engine.submit(request("first", tokens=ENDLESS))
    engine.submit(request("second", tokens=3))
    engine.cancel("second")
    ended = recorder.wait_for_end("second")
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.CANCELLED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_must_end_says_so_releases_its_requests_and_takes_no_more(
    engine: TransformersEngine, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(_runner: BatchRunner) -> None:
        raise KeyboardInterrupt

    engine.submit(replace(request("first", tokens=ENDLESS)))
    recorder.wait_for_deltas("first", 1)
    with caplog.at_level(logging.CRITICAL):
        monkeypatch.setattr(BatchRunner, "step", interrupted)
        assert isinstance(recorder.wait_for_end("first"), Released)
    engine._thread.join(60)
    assert not engine.is_alive
    assert "thread ends" in caplog.text
    with pytest.raises(EngineClosed):
        engine.submit(request("second", tokens=1))
