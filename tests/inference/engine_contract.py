"""What every engine promises, as tests: subclass `EngineContract` and say how to make the engine.

The engine must never end an answer before `max_tokens` when `min_tokens` equals it, and must take at least a
millisecond for a step, so that a test can act in the middle of an answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from inference.engine import Engine, EngineClosed, GenerationRequest, Listener, Message
from inference.events import (
    TERMINAL_EVENTS,
    Delta,
    Emission,
    Failed,
    FailureCode,
    Finished,
    FinishReason,
    Released,
    Started,
)
from inference.sampling_params import SamplingParams
from tests.inference.recorder import Recorder
from tests.services.installation import eventually

ENDLESS = 4_000

EngineMaker = Callable[[Listener], Engine]


def request(
    request_id: str, *, tokens: int, deadline_s: float | None = None, text: str = "tell me"
) -> GenerationRequest:
    """A request whose answer has exactly `tokens` tokens."""
    params = SamplingParams(temperature=0, max_tokens=tokens, min_tokens=tokens)
    return GenerationRequest(
        request_id=request_id, messages=(Message("user", text),), params=params, deadline_s=deadline_s
    )


class EngineContract:
    """The promises of `inference.engine.Engine`."""

    @pytest.fixture
    def make_engine(self) -> EngineMaker:
        raise NotImplementedError("the subclass makes the engine")

    @pytest.fixture
    def recorder(self) -> Recorder:
        return Recorder()

    @pytest.fixture
    def engine(self, make_engine: EngineMaker, recorder: Recorder) -> Iterator[Engine]:
        engine = make_engine(recorder)
        yield engine
        engine.close(0)

    def test_a_request_starts_once_streams_and_ends_once(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("a", tokens=5))
        ended = recorder.wait_for_end("a")
        events = recorder.events("a")
        assert isinstance(events[0], Started)
        assert all(isinstance(event, Delta) for event in events[1:-1])
        assert isinstance(ended, Finished)
        assert [event for event in events if isinstance(event, TERMINAL_EVENTS)] == [ended]

    def test_the_answer_is_as_long_as_asked_and_counted(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("a", tokens=7))
        ended = recorder.wait_for_end("a")
        started = recorder.events("a")[0]
        assert isinstance(ended, Finished)
        assert isinstance(started, Started)
        assert ended.finish_reason is FinishReason.LENGTH
        assert ended.usage.completion_tokens == 7 == len(recorder.tokens("a"))
        assert ended.usage.prompt_tokens == started.prompt_tokens > 0
        assert "tell me" in started.rendered_prompt

    def test_timings_are_not_negative_and_add_up_to_less_than_the_wait(
        self, engine: Engine, recorder: Recorder
    ) -> None:
        before = time.monotonic()
        engine.submit(request("a", tokens=5))
        ended = recorder.wait_for_end("a")
        waited = time.monotonic() - before
        assert isinstance(ended, Finished)
        spent = (ended.timings.queued_s, ended.timings.prefill_s, ended.timings.decode_s)
        assert min(spent) >= 0
        assert sum(spent) <= waited

    def test_many_requests_share_the_steps(self, engine: Engine, recorder: Recorder) -> None:
        names = [f"r{number}" for number in range(8)]
        with recorder.held():
            for name in names:
                engine.submit(request(name, tokens=30))
        recorder.wait_for_end(*names)
        assert max(len({each.request_id for each in step}) for step in recorder.steps) > 1
        assert all(len(recorder.tokens(name)) == 30 for name in names)

    def test_a_short_request_overtakes_a_long_one(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("long", tokens=ENDLESS))
        recorder.wait_for_deltas("long", 2)
        engine.submit(request("short", tokens=3))
        recorder.wait_for_end("short")
        assert not recorder.has_ended("long")

    def test_cancel_ends_a_running_request_and_only_that(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("a", tokens=ENDLESS))
        engine.submit(request("b", tokens=60))
        recorder.wait_for_deltas("a", 2)
        engine.cancel("a")
        ended = recorder.wait_for_end("a")
        assert isinstance(ended, Finished)
        assert ended.finish_reason is FinishReason.CANCELLED
        assert ended.usage.completion_tokens == len(recorder.tokens("a")) < ENDLESS
        other = recorder.wait_for_end("b")
        assert isinstance(other, Finished)
        assert other.finish_reason is FinishReason.LENGTH

    def test_cancelling_an_unknown_or_ended_request_does_nothing(self, engine: Engine, recorder: Recorder) -> None:
        engine.cancel("never")
        engine.submit(request("a", tokens=2))
        recorder.wait_for_end("a")
        engine.cancel("a")
        engine.submit(request("b", tokens=2))
        recorder.wait_for_end("b")
        assert sum(isinstance(event, TERMINAL_EVENTS) for event in recorder.events("a")) == 1

    def test_a_deadline_ends_the_request(self, engine: Engine, recorder: Recorder) -> None:
        before = time.monotonic()
        engine.submit(request("a", tokens=ENDLESS, deadline_s=0.3))
        ended = recorder.wait_for_end("a")
        assert isinstance(ended, Finished)
        assert ended.finish_reason is FinishReason.DEADLINE
        assert time.monotonic() - before >= 0.3

    def test_a_running_name_is_refused_and_an_ended_one_is_free(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("a", tokens=ENDLESS))
        with pytest.raises(ValueError, match="request_id"):
            engine.submit(request("a", tokens=1))
        engine.cancel("a")
        recorder.wait_for_end("a")
        recorder.wait_until(lambda: _accepts(engine, request("a", tokens=1)), "the name to be free")
        recorder.wait_until(
            lambda: sum(isinstance(event, TERMINAL_EVENTS) for event in recorder.events("a")) == 2, "the second end"
        )

    def test_close_waits_for_a_request_that_ends_within_the_grace(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("a", tokens=10))
        recorder.wait_for_deltas("a", 1)
        engine.close(30)
        ended = recorder.wait_for_end("a")
        assert isinstance(ended, Finished)

    def test_close_releases_what_is_left(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("a", tokens=ENDLESS))
        engine.submit(request("b", tokens=ENDLESS))
        recorder.wait_for_deltas("a", 1)
        engine.close(0.05)
        assert isinstance(recorder.events("a")[-1], Released)
        assert isinstance(recorder.events("b")[-1], Released)

    def test_a_closed_engine_refuses_requests_and_may_be_closed_again(self, engine: Engine) -> None:
        engine.close(0)
        engine.close(0)
        with pytest.raises(EngineClosed):
            engine.submit(request("a", tokens=1))

    def test_close_ends_the_thread(self, make_engine: EngineMaker, recorder: Recorder) -> None:
        before = threading.active_count()
        engine = make_engine(recorder)
        engine.submit(request("a", tokens=2))
        engine.close(30)
        assert threading.active_count() <= before

    def test_a_listener_that_raises_does_not_end_the_engine(self, make_engine: EngineMaker, recorder: Recorder) -> None:
        def listen(emissions: Sequence[Emission]) -> None:
            recorder(emissions)
            if any(each.request_id == "poison" for each in emissions):
                raise RuntimeError("a broken listener")

        engine = make_engine(listen)
        try:
            engine.submit(request("poison", tokens=2))
            recorder.wait_for_end("poison")
            engine.submit(request("after", tokens=2))
            assert isinstance(recorder.wait_for_end("after"), Finished)
        finally:
            engine.close(0)

    def test_requests_from_many_threads_all_end(self, engine: Engine, recorder: Recorder) -> None:
        names = [f"t{number}" for number in range(24)]
        threads = [threading.Thread(target=engine.submit, args=(request(name, tokens=4),)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recorder.wait_for_end(*names)
        assert all(len(recorder.tokens(name)) == 4 for name in names)

    def test_an_idle_engine_uses_no_processor_time(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(request("a", tokens=2))
        recorder.wait_for_end("a")

        def idles() -> bool:
            before = time.process_time()
            time.sleep(0.5)
            return time.process_time() - before < 0.1

        # What other threads of this process do is over some time.
        eventually(idles, 30, "half a second without work")

    def test_a_given_beginning_comes_first_or_is_refused_by_name(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(replace(request("words", tokens=5), answer_prefix="Once upon"))
        engine.submit(replace(request("ids", tokens=5), answer_prefix=(65, 66, 67)))
        for name in ("words", "ids"):
            ended = recorder.wait_for_end(name)
            if isinstance(ended, Failed):
                assert ended.code is FailureCode.UNSUPPORTED
                assert ended.message.startswith("answer_prefix:")
            else:
                assert isinstance(ended, Finished)
                assert ended.usage.completion_tokens >= 5
                assert name == "ids" or recorder.text(name).startswith("Once upon")
                assert name == "words" or [token.id for token in recorder.tokens(name)][:3] == [65, 66, 67]

    def test_a_text_is_scored_or_refused_by_name(self, engine: Engine, recorder: Recorder) -> None:
        engine.submit(replace(request("a", tokens=5), completion=True, score=True))
        ended = recorder.wait_for_end("a")
        if isinstance(ended, Failed):
            assert ended.code is FailureCode.UNSUPPORTED
            assert ended.message.startswith("score:")
        else:
            assert isinstance(ended, Finished)
            assert recorder.text("a") == "tell me"
            tokens = recorder.tokens("a")
            assert tokens[0].logprob is None
            assert all(token.logprob is not None and token.logprob <= 0 for token in tokens[1:])

    def test_provenance_is_a_mapping_that_names_the_engine(self, engine: Engine) -> None:
        assert isinstance(engine.provenance()["engine"], str)


def _accepts(engine: Engine, wanted: GenerationRequest) -> bool:
    try:
        engine.submit(wanted)
    except ValueError:
        return False
    return True
