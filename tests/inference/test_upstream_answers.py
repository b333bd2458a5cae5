"""What becomes of what an upstream says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from inference.engine import GenerationRequest, Message
from inference.events import Channel, Failed, FailureCode, Finished, FinishReason, Started, Usage
from inference.sampling_params import SamplingParams
from inference.upstream_engine import UpstreamEngine
from inference.upstream_request import DIALECTS
from tests.inference.recorder import Recorder
from tests.inference.scripted_upstream import Exchange, ScriptedUpstream, count
from tests.inference.test_upstream_requests import asked


@pytest.fixture
def run(
    make_upstream_engine: Callable[..., UpstreamEngine], upstream: ScriptedUpstream, recorder: Recorder
) -> Callable:
    def through(behave: Callable, request: GenerationRequest, **options: object) -> object:
        upstream.behave = behave
        make_upstream_engine(**options).submit(request)
        return recorder.wait_for_end("a")

    return through


def saying(*texts: str, finish_reason: str = "stop") -> Callable:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        for text in texts:
            await exchange.say(text)
        await exchange.say(None, finish_reason)
        await exchange.end()

    return behave


def test_ids_logprobs_and_alternatives_become_tokens(run: Callable, recorder: Recorder) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        top = [
            {"token": "no", "logprob": -3.0},
            {"id": 8, "token": "yes", "logprob": -0.1},
            {"token": "x", "logprob": -9},
        ]
        entry = {"token": "yes", "logprob": -0.1, "top_logprobs": top}
        await exchange.say("yes", logprobs={"content": [entry]}, token_ids=[8])
        await exchange.say("!", "stop", logprobs={"content": [{"id": 9, "token": "!", "logprob": -0.2}]})
        await exchange.end()

    assert isinstance(run(behave, asked(top_logprobs=2)), Finished)
    yes, mark = recorder.tokens("a")
    assert (yes.id, yes.text, yes.logprob) == (8, "yes", -0.1)
    assert [(each.id, each.text) for each in yes.top] == [(8, "yes"), (-1, "no")]
    assert (mark.id, mark.top) == (9, ())


def test_a_token_whose_id_nobody_tells_has_minus_one(run: Callable, recorder: Recorder) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.say("yes", "stop", logprobs={"content": [{"token": "yes", "logprob": -0.1}]})
        await exchange.end()

    run(behave, asked())
    assert [token.id for token in recorder.tokens("a")] == [-1]


def test_completions_come_in_their_older_form(run: Callable, recorder: Recorder, upstream: ScriptedUpstream) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        logprobs = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0], "top_logprobs": [{"a": -1.0}, {"c": -0.5}]}
        await exchange.event({"choices": [{"index": 0, "text": "ab", "logprobs": logprobs, "finish_reason": "stop"}]})
        await exchange.end()

    assert isinstance(run(behave, asked(Message("user", "once"), completion=True, top_logprobs=1)), Finished)
    assert upstream.exchanges[0].path == "/v1/completions"
    assert recorder.text("a") == "ab"
    assert [token.top[0].text for token in recorder.tokens("a")] == ["a", "c"]
    assert recorder.events("a")[0] == Started(None, '"once"')


def test_an_echo_becomes_the_texts_own_tokens(run: Callable, recorder: Recorder) -> None:
    text = replace(asked(Message("user", "once upon a"), completion=True, top_logprobs=1, stop=("upon",)), score=True)
    ended = run(count, text, dialect=DIALECTS["vllm"])
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert ended.usage == Usage(3, 0)
    assert recorder.text("a") == "once upon a"
    tokens = recorder.tokens("a")
    assert [(token.id, token.text, token.logprob) for token in tokens] == [
        (7, "once", None),
        (8, " upon", -0.5),
        (9, " a", -0.5),
    ]


def test_an_echo_without_probabilities_is_a_refusal(run: Callable) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event({"choices": [{"index": 0, "text": "once", "finish_reason": "length"}]})
        await exchange.end()

    text = replace(asked(Message("user", "once"), completion=True), score=True)
    ended = run(behave, text, dialect=DIALECTS["vllm"])
    assert isinstance(ended, Failed)
    assert ended.message.startswith("score:")


def test_the_given_beginning_comes_before_what_the_upstream_adds(run: Callable, recorder: Recorder) -> None:
    begun = replace(asked(Message("user", "count"), stop=("2 3",)), answer_prefix="<think>so</think>1 2")
    assert isinstance(run(saying(" and", " 2", " 3"), begun, dialect=DIALECTS["vllm"]), Finished)
    assert recorder.text("a", Channel.THINKING) == "so"
    assert recorder.text("a") == "1 2 and "


def test_the_upstreams_counts_are_taken(run: Callable) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.say("a b c", "stop")
        usage = {"prompt_tokens": 30, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}
        await exchange.event({"choices": [], "usage": usage})
        await exchange.end()

    assert run(behave, asked()).usage == Usage(30, 9, 4)


@pytest.mark.parametrize(
    ("details", "reasoning"), [({"reasoning_tokens": 7}, 7), ({"reasoning_tokens": 70}, 9), ({}, 2)]
)
def test_the_upstreams_count_of_its_thinking_is_taken_else_what_arrived(
    run: Callable, details: dict[str, int], reasoning: int
) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.say("<think>a")
        await exchange.say(" b</think>")
        await exchange.say("c", "stop")
        usage = {"prompt_tokens": 30, "completion_tokens": 9, "completion_tokens_details": details}
        await exchange.event({"choices": [], "usage": usage})
        await exchange.end()

    assert run(behave, asked()).usage == Usage(30, 9, reasoning_tokens=reasoning)


def test_without_counts_the_pieces_are_counted_and_said_so(run: Callable) -> None:
    assert run(saying("a", "b", "c"), asked()).usage == Usage(0, 3, is_counted=True)


def test_what_breaks_after_the_last_word_costs_the_counts_alone(run: Callable, recorder: Recorder) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.say("whole", "stop")
        exchange.drop()

    ended = run(behave, asked())
    assert isinstance(ended, Finished)
    assert ended.usage.is_counted
    assert recorder.text("a") == "whole"


def test_the_prompt_as_sent_stands_for_the_one_rendered_there(run: Callable, recorder: Recorder) -> None:
    run(saying("a"), asked(Message("user", "grüß")))
    assert recorder.events("a")[0] == Started(None, '[{"role": "user", "content": "grüß"}]')


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", FinishReason.STOP), ("eos_token", FinishReason.STOP), ("length", FinishReason.LENGTH)],
)
def test_reasons_for_the_end(run: Callable, word: str, reason: FinishReason) -> None:
    assert run(saying("a", finish_reason=word), asked()).finish_reason is reason


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("content_filter", FailureCode.UPSTREAM),
        ("abort", FailureCode.UPSTREAM),
        ("tool_calls", FailureCode.UNSUPPORTED),
    ],
)
def test_ends_that_are_no_answer_are_failures(run: Callable, word: str, code: FailureCode) -> None:
    ended = run(saying("a", finish_reason=word), asked())
    assert isinstance(ended, Failed)
    assert ended.code is code


@pytest.mark.parametrize("texts", [("one ST", "OP two"), ("one STOP two",), ("one ", "S", "T", "O", "P", " two")])
def test_a_stop_string_ends_the_answer_here_and_is_never_shown(
    run: Callable, recorder: Recorder, upstream: ScriptedUpstream, texts: tuple[str, ...]
) -> None:
    async def ignore_it(exchange: Exchange) -> None:
        await exchange.begin()
        for text in texts:
            await exchange.say(text)
        while True:
            await exchange.say("and on")

    ended = run(ignore_it, asked(stop=("STOP",)))
    assert isinstance(ended, Finished)
    assert ended.finish_reason is FinishReason.STOP
    assert recorder.text("a") == "one "
    assert upstream.exchanges[0].hung_up.wait(30)


def test_thinking_that_the_server_leaves_in_the_text_is_told_apart(run: Callable, recorder: Recorder) -> None:
    run(saying("<thi", "nk>STOP here?", "</think>Ye", "s. STOP"), asked(stop=("STOP",)))
    assert recorder.text("a", Channel.THINKING) == "STOP here?"
    assert recorder.text("a") == "Yes. "


def test_what_is_held_back_at_the_end_is_shown(run: Callable, recorder: Recorder) -> None:
    run(saying("<thi", finish_reason="length"), asked(stop=("i!",)))
    assert recorder.text("a") == "<thi"


def test_what_only_began_like_a_stop_string_is_shown(run: Callable, recorder: Recorder) -> None:
    run(saying("one ST"), asked(stop=("STOP",)))
    assert recorder.text("a") == "one ST"


def test_what_the_engine_can_do_without_is_left_out_when_refused_and_said(
    make_upstream_engine: Callable[..., UpstreamEngine], upstream: ScriptedUpstream, recorder: Recorder
) -> None:
    async def strict(exchange: Exchange) -> None:
        extra = sorted({"stream_options", "logprobs"} & set(exchange.body))
        if extra:
            await exchange.respond(400, {"error": {"message": f"Unknown parameter: '{extra[0]}'.", "param": extra[0]}})
        else:
            await saying("a")(exchange)

    upstream.behave = strict
    engine = make_upstream_engine()
    engine.submit(asked())
    assert isinstance(recorder.wait_for_end("a"), Finished)
    assert engine.provenance()["not_taken"] == ["logprobs", "stream_options"]
    assert len(upstream.exchanges) == 3
    recorder.wait_until(lambda: _submit(engine, asked(top_logprobs=2)), "the name to be free")
    recorder.wait_until(lambda: any(isinstance(event, Failed) for event in recorder.events("a")), "the refusal")
    failed = recorder.events("a")[-1]
    assert failed == Failed(FailureCode.UNSUPPORTED, "top_logprobs: this upstream reports no probabilities.")
    assert len(upstream.exchanges) == 3


def _submit(engine: UpstreamEngine, request: GenerationRequest) -> bool:
    try:
        engine.submit(request)
    except ValueError:
        return False
    return True


def test_alternatives_that_are_asked_for_and_never_come_are_a_refusal(run: Callable) -> None:
    ended = run(saying("a"), asked(top_logprobs=2))
    assert isinstance(ended, Failed)
    assert (ended.code, ended.message.partition(":")[0]) == (FailureCode.UNSUPPORTED, "top_logprobs")


def test_many_answers_at_once_reach_the_listener_in_few_steps(
    make_upstream_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    upstream.behave = count
    engine = make_upstream_engine(dialect=DIALECTS["vllm"])
    names = [f"r{number}" for number in range(16)]
    before = time.monotonic()
    for name in names:
        messages = (Message("user", "tell me"),)
        params = SamplingParams(max_tokens=100)
        engine.submit(GenerationRequest(request_id=name, messages=messages, params=params))
    recorder.wait_for_end(*names)
    assert len(recorder.steps) <= (time.monotonic() - before) / 0.01 + 2
    for name in names:
        assert [token.id for token in recorder.tokens(name)] == list(range(1, 101))
        assert recorder.text(name) == "".join(f"{number} " for number in range(1, 101))


def test_the_key_is_in_no_body_and_in_no_provenance(
    make_upstream_engine: Callable[..., UpstreamEngine], upstream: ScriptedUpstream, recorder: Recorder
) -> None:
    engine = make_upstream_engine(key="sk-secret")
    engine.submit(asked())
    recorder.wait_for_end("a")
    assert "sk-secret" not in json.dumps([upstream.bodies, engine.provenance()])
