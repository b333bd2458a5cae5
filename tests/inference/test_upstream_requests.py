"""What an upstream is sent, in its own words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from inference.engine import GenerationRequest, Message
from inference.sampling_params import SamplingParams
from inference.upstream_request import DIALECTS, UNKNOWN, UnsupportedByUpstream, dialect_of, request_body
from tests.inference.scripted_upstream import MODEL

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
