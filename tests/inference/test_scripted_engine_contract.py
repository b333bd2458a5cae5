"""The scripted engine keeps every engine's promises, and does what its script says."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator

import pytest

from inference.engine import GenerationRequest, Message
from inference.events import Channel, Delta, Failed, FailureCode, Finished, FinishReason, Token
from inference.sampling_params import SamplingParams
from inference.scripted import ScriptedEngine, word_deltas
from tests.inference.engine_contract import EngineContract, EngineMaker, request
from tests.inference.recorder import Recorder


def _endless(_: GenerationRequest) -> Iterator[Delta]:
    for number in itertools.count():
        yield Delta(f"{number} ", tokens=(Token(number, f"{number} ", -0.5),))


class TestScriptedEngineContract(EngineContract):
    @pytest.fixture
    def make_engine(self) -> EngineMaker:
        return lambda listener: ScriptedEngine(listener, respond=_endless, step_s=0.002)


def test_the_answer_is_the_script() -> None:
    recorder = Recorder()
    engine = ScriptedEngine(recorder, respond=lambda request: word_deltas("one two  three\n"))
    engine.submit(request("a", tokens=100))
    ended = recorder.wait_for_end("a")
    engine.close(0)
    assert recorder.text("a") == "one two  three\n"
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert ended.usage.completion_tokens == 3


def test_a_script_may_fail_the_request() -> None:
    recorder = Recorder()
    failure = Failed(FailureCode.OUT_OF_MEMORY, "There is no memory left for this prompt.")
    engine = ScriptedEngine(recorder, respond=lambda request: (*word_deltas("half an"), failure))
    engine.submit(request("a", tokens=100))
    assert recorder.wait_for_end("a") == failure
    engine.close(0)
    assert recorder.text("a") == "half an"


def test_an_error_in_the_script_fails_that_request_alone() -> None:
    def respond(asked: GenerationRequest) -> tuple[Delta, ...]:
        if asked.request_id == "bad":
            raise RuntimeError("no such line")
        return word_deltas("fine")

    recorder = Recorder()
    engine = ScriptedEngine(recorder, respond=respond)
    engine.submit(request("bad", tokens=9))
    engine.submit(request("good", tokens=9))
    ended = recorder.wait_for_end("good", "bad")
    engine.close(0)
    assert isinstance(ended, Failed)
    assert ended.code is FailureCode.INTERNAL
    assert "no such line" in ended.message
    assert recorder.text("good") == "fine"


def test_channels_pass_through() -> None:
    recorder = Recorder()
    script = (Delta("hm", channel=Channel.THINKING), Delta("yes"))
    engine = ScriptedEngine(recorder, respond=lambda request: script)
    messages = (Message("user", "really?"),)
    engine.submit(GenerationRequest(request_id="a", messages=messages, params=SamplingParams()))
    ended = recorder.wait_for_end("a")
    engine.close(0)
    assert isinstance(ended, Finished)
    assert (ended.usage.completion_tokens, ended.usage.reasoning_tokens) == (2, 1)
    assert recorder.text("a", Channel.THINKING) == "hm"
    assert recorder.text("a") == "yes"


def test_the_light_modules_load_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, inference, inference.engine, inference.events, inference.sampling_params, inference.scripted\n"
        "heavy = {'torch', 'transformers', 'django', 'celery', 'redis'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr
