"""What an upstream is sent, in its own words, and what becomes of what it says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from inference.engine import GenerationRequest, Message
from inference.events import Channel, Failed, FailureCode, Finished, FinishReason, Started, Usage
from inference.sampling_params import SamplingParams
from inference.upstream_engine import UpstreamEngine
from inference.upstream_request import DIALECTS, UNKNOWN, UnsupportedByUpstream, dialect_of, request_body
from tests.inference.recorder import Recorder
from tests.inference.scripted_upstream import MODEL, Exchange, ScriptedUpstream, count

STANDARD = {"model", "stream", "stream_options", "messages", "max_tokens", "logprobs", "temperature", "top_p"}
OFF_DEFAULT = {
    "temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "repetition_penalty": 1.1, "presence_penalty": 0.2,
    "frequency_penalty": 0.3, "min_tokens": 2, "seed": 5, "logit_bias": {3: -1.0}, "stop": ("\n",), "top_logprobs": 4,
}  # fmt: skip


def asked(*messages: Message, completion: bool = False, **params: object) -> GenerationRequest:
    return GenerationRequest(
        request_id="a",
        messages=messages or (Message("system", "be brief"), Message("user", "tell me")),
        params=SamplingParams(**params),
        completion=completion,
    )


def body_of(request: GenerationRequest, kind: str = "unknown", *without: str) -> dict:
    return request_body(request, model=MODEL, dialect=DIALECTS[kind], without=frozenset(without))[1]


# --- What is sent


def test_at_the_defaults_an_unknown_server_is_sent_what_every_server_knows() -> None:
    path, body = request_body(asked(), model=MODEL, dialect=UNKNOWN)
    assert path == "chat/completions"
    assert set(body) == STANDARD
    assert body["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "tell me"}]
    assert body["stream_options"] == {"include_usage": True}


def test_what_differs_from_the_default_is_sent() -> None:
    body = body_of(asked(**OFF_DEFAULT))
    assert body["logit_bias"] == {"3": -1.0}
    assert body["stop"] == ["\n"]
    for name, value in OFF_DEFAULT.items():
        assert name in {"logit_bias", "stop"} or body[name] == value


def test_vllm_is_told_our_defaults_where_it_would_take_the_models() -> None:
    body = body_of(asked(), "vllm")
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (-1, 0.0, 1.0)
    assert body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert body["return_token_ids"] is True


def test_llama_cpp_is_told_our_defaults_under_its_names() -> None:
    body = body_of(asked(), "llama.cpp")
    assert (body["top_k"], body["min_p"], body["repeat_penalty"], body["repeat_last_n"]) == (0, 0.0, 1.0, -1)
    assert not {"repetition_penalty", "cache_prompt"} & set(body)
    request = GenerationRequest(
        request_id="a", messages=(Message("user", "x"),), params=SamplingParams(), reuse_prefix=False
    )
    assert body_of(request, "llama.cpp")["cache_prompt"] is False


def test_transformers_is_told_all_as_a_generation_config() -> None:
    body = body_of(asked(temperature=2, min_tokens=3, seed=4), "transformers")
    assert not {"temperature", "top_k", "min_tokens"} & set(body)
    assert body["seed"] == 4
    config = json.loads(body["generation_config"])
    assert (config["do_sample"], config["temperature"], config["top_k"], config["min_new_tokens"]) == (True, 2.0, 0, 3)
    assert isinstance(config["temperature"], float)
    greedy = json.loads(body_of(asked(temperature=0), "transformers")["generation_config"])
    assert greedy == {"do_sample": False, "repetition_penalty": 1.0}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("llama.cpp", "min_tokens"),
        ("tgi", "logit_bias"),
        ("tgi", "top_k"),
        ("transformers", "presence_penalty"),
        ("transformers", "frequency_penalty"),
        ("openai", "min_p"),
    ],
)
def test_what_a_server_does_not_take_is_refused_by_name(kind: str, name: str) -> None:
    with pytest.raises(UnsupportedByUpstream, match=f"^{name}: "):
        body_of(asked(**{name: OFF_DEFAULT[name]}), kind)


def test_an_adapter_is_refused_by_name() -> None:
    request = GenerationRequest(
        request_id="a", messages=(Message("user", "x"),), params=SamplingParams(), adapter="tuned"
    )
    with pytest.raises(UnsupportedByUpstream, match=r"^adapter: "):
        body_of(request)


def test_more_stop_strings_than_servers_take_are_kept_here() -> None:
    assert "stop" not in body_of(asked(stop=("a", "b", "c", "d", "e")))


def test_an_answer_that_is_begun_is_continued_where_the_server_can() -> None:
    begun = asked(Message("user", "count"), Message("assistant", "1 2"))
    assert body_of(begun, "vllm")["continue_final_message"] is True
    assert body_of(begun, "llama.cpp")["messages"][-1] == {"role": "assistant", "content": "1 2"}
    with pytest.raises(UnsupportedByUpstream, match=r"^messages: "):
        body_of(begun, "openai")


def test_a_given_beginning_is_sent_as_text_and_never_as_tokens() -> None:
    begun = replace(asked(Message("user", "count")), answer_prefix="1 2")
    body = body_of(begun, "vllm")
    assert body["messages"][-1] == {"role": "assistant", "content": "1 2"}
    assert body["continue_final_message"] is True
    assert body_of(replace(begun, completion=True))["prompt"] == "count1 2"
    with pytest.raises(UnsupportedByUpstream, match=r"^answer_prefix: "):
        body_of(begun, "openai")
    with pytest.raises(UnsupportedByUpstream, match=r"^answer_prefix: "):
        body_of(replace(begun, answer_prefix=(1, 2)), "vllm")


def test_a_text_is_scored_where_the_server_echoes() -> None:
    text = replace(asked(Message("user", "once upon"), completion=True, top_logprobs=3), score=True)
    path, body = request_body(text, model=MODEL, dialect=DIALECTS["vllm"])
    assert path == "completions"
    assert {name: body[name] for name in ("prompt", "echo", "max_tokens", "logprobs")} == {
        "prompt": "once upon",
        "echo": True,
        "max_tokens": 0,
        "logprobs": 3,
    }
    for kind, request in (("llama.cpp", text), ("vllm", replace(text, completion=False))):
        with pytest.raises(UnsupportedByUpstream, match=r"^score: "):
            body_of(request, kind)


def test_plain_text_goes_to_completions() -> None:
    request = asked(Message("user", "once upon"), Message("user", " a time"), completion=True, top_logprobs=2)
    path, body = request_body(request, model=MODEL, dialect=UNKNOWN)
    assert path == "completions"
    assert (body["prompt"], body["logprobs"]) == ("once upon a time", 2)
    assert "messages" not in body


@pytest.mark.parametrize(
    ("owner", "kind"),
    [("vllm", "vllm"), ("llamacpp", "llama.cpp"), ("system", "openai"), ("me", "unknown"), ("", "unknown")],
)
def test_a_server_is_known_by_what_it_says_of_itself(owner: str, kind: str) -> None:
    assert dialect_of(owner).name == kind


# --- What comes back


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    server = ScriptedUpstream()
    yield server
    server.close()


@pytest.fixture
def make_engine(upstream: ScriptedUpstream, recorder: Recorder) -> Iterator[Callable[..., UpstreamEngine]]:
    made: list[UpstreamEngine] = []

    def make(**options: object) -> UpstreamEngine:
        made.append(UpstreamEngine(recorder, base_url=upstream.url, model=MODEL, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close(0)


@pytest.fixture
def run(make_engine: Callable[..., UpstreamEngine], upstream: ScriptedUpstream, recorder: Recorder) -> Callable:
    def through(behave: Callable, request: GenerationRequest, **options: object) -> object:
        upstream.behave = behave
        make_engine(**options).submit(request)
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
    assert upstream.exchanges[0].hung_up.wait(5)


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
    make_engine: Callable[..., UpstreamEngine], upstream: ScriptedUpstream, recorder: Recorder
) -> None:
    async def strict(exchange: Exchange) -> None:
        extra = sorted({"stream_options", "logprobs"} & set(exchange.body))
        if extra:
            await exchange.respond(400, {"error": {"message": f"Unknown parameter: '{extra[0]}'.", "param": extra[0]}})
        else:
            await saying("a")(exchange)

    upstream.behave = strict
    engine = make_engine()
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
    make_engine: Callable[..., UpstreamEngine], recorder: Recorder, upstream: ScriptedUpstream
) -> None:
    upstream.behave = count
    engine = make_engine(dialect=DIALECTS["vllm"])
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
    make_engine: Callable[..., UpstreamEngine], upstream: ScriptedUpstream, recorder: Recorder
) -> None:
    engine = make_engine(key="sk-secret")
    engine.submit(asked())
    recorder.wait_for_end("a")
    assert "sk-secret" not in json.dumps([upstream.bodies, engine.provenance()])
