"""A request in the words of an OpenAI-compatible server; servers differ in what they take beyond OpenAI's protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inference.engine import GenerationRequest
from inference.sampling_params import SamplingParams

MAX_STOPS_SENT: Final = 4
"""OpenAI's limit. More are not sent at all: the engine ends the answer itself, as it does in any case."""

_DEFAULTS: Final = SamplingParams()
_OPENAI: Final[Mapping[str, str]] = {
    name: name for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "logit_bias")
}
_VLLM: Final[Mapping[str, str]] = {
    **_OPENAI,
    **{name: name for name in ("top_k", "min_p", "repetition_penalty", "min_tokens")},
}


_FLOATS: Final = frozenset(_VLLM) - {"seed", "logit_bias", "top_k", "min_tokens"}
GENERATE_NAMES: Final[Mapping[str, str]] = {
    **{name: name for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")},
    "min_tokens": "min_new_tokens",
}


class UnsupportedByUpstream(ValueError):
    """The server cannot do what is asked; the message begins with the parameter's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one kind of server takes.

    takes: sampling parameter → the server's name for it; what is absent is refused by name unless it is at its default.
    always: the parameters sent even at our default, because the server's own default is another.
    top_k_off: the server's word for `top_k` 0.
    extra: fields that every request carries. `wishes` are those of them, and of ours, that it may lack: dropped when
        the server refuses them by name.
    anew: fields that make the server compute the whole prompt anew; most have none.
    as_generation_config: the sampling goes as one text of JSON with the names of transformers' generate().
    continuation: fields that make the server continue an answer that the last message begins; None when it cannot.
    scores: whether /v1/completions tells a text's own log-probabilities (`echo` with no new tokens).
    lists_models: whether /v1/models names what is served.
    """

    name: str
    owners: frozenset[str] = frozenset()
    takes: Mapping[str, str] = field(default_factory=lambda: _VLLM)
    always: frozenset[str] = frozenset({"temperature", "top_p"})
    top_k_off: int = 0
    max_tokens: str = "max_tokens"
    extra: Mapping[str, Any] = field(default_factory=dict)
    usage_in_every_chunk: bool = False
    anew: Mapping[str, Any] = field(default_factory=dict)
    as_generation_config: bool = False
    continuation: Mapping[str, Any] | None = None
    scores: bool = False
    lists_models: bool = True


# A kind that is not listed is spoken to as `unknown`: OpenAI's fields, and vLLM's names for what differs from its
# default. The listed ones name themselves in /v1/models as `owned_by`.
UNKNOWN: Final = Dialect(name="unknown")
DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        UNKNOWN,
        # Without these vLLM takes the defaults of the model's generation_config.json, and not ours.
        Dialect(
            name="vllm",
            owners=frozenset({"vllm"}),
            always=frozenset({"temperature", "top_p", "top_k", "min_p", "repetition_penalty"}),
            top_k_off=-1,
            extra={"return_token_ids": True},
            usage_in_every_chunk=True,
            continuation={"continue_final_message": True, "add_generation_prompt": False},
            scores=True,
        ),
        # Its own defaults are top_k 40, top_p 0.95, min_p 0.05, and penalties over the last 64 tokens alone.
        Dialect(
            name="llama.cpp",
            owners=frozenset({"llamacpp"}),
            takes={**_OPENAI, "top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repeat_penalty"},
            always=frozenset({"temperature", "top_p", "top_k", "min_p", "repetition_penalty"}),
            extra={"repeat_last_n": -1},
            anew={"cache_prompt": False},
            continuation={},
        ),
        # It refuses a top_p of 1, which is its default.
        Dialect(
            name="tgi",
            takes={name: wire for name, wire in _OPENAI.items() if name != "logit_bias"},
            always=frozenset({"temperature"}),
        ),
        # Of OpenAI's fields it gives the penalties another meaning or none, and a temperature samples only where the
        # model's own generation_config.json says so (5.23): all goes by generate()'s names. It lists its downloads.
        Dialect(
            name="transformers",
            takes={name: name for name in _VLLM if name in GENERATE_NAMES or name == "seed"},
            always=frozenset(GENERATE_NAMES) - {"min_tokens"},
            as_generation_config=True,
            lists_models=False,
        ),
        # What is left out takes the variant's default there.
        Dialect(
            name="steelyard",
            always=frozenset(_VLLM) - {"seed", "logit_bias"},
        ),
        Dialect(
            name="openai", owners=frozenset({"openai", "system"}), takes=_OPENAI, max_tokens="max_completion_tokens"
        ),
    )
}
WISHES: Final = frozenset({"stream_options", "logprobs", "return_token_ids"})
"""What the engine asks for by itself and can do without."""


def dialect_of(owner: str) -> Dialect:
    """The dialect of the server that says this of itself in /v1/models."""
    return next((each for each in DIALECTS.values() if owner in each.owners), UNKNOWN)


def request_body(
    request: GenerationRequest, *, model: str, dialect: Dialect, without: frozenset[str] = frozenset()
) -> tuple[str, dict[str, Any]]:
    """The path below the base URL, and the JSON body, less the wishes in `without`. Raises UnsupportedByUpstream."""
    _require_supported(request, dialect)
    if request.score:
        return "completions", _score_body(request, model, dialect)
    body: dict[str, Any] = {"model": model, "stream": True, **_sampling(request.params, dialect), **dialect.extra}
    body["stream_options"] = {"include_usage": True}
    if request.repeatable or not request.reuse_prefix:
        body.update(dialect.anew)
    if dialect.usage_in_every_chunk:
        body["stream_options"]["continuous_usage_stats"] = True
    if request.completion:
        path = "completions"
        body["prompt"] = _text(request) + str(request.answer_prefix)
        body["max_tokens"] = request.params.max_tokens
        body["logprobs"] = max(1, request.params.top_logprobs)
    else:
        path = "chat/completions"
        body["messages"] = _messages(request)
        body[dialect.max_tokens] = request.params.max_tokens
        body["logprobs"] = True
        if request.params.top_logprobs:
            body["top_logprobs"] = request.params.top_logprobs
        if body["messages"][-1]["role"] == "assistant":
            body.update(dialect.continuation or {})
    if "logprobs" in without and request.params.top_logprobs:
        raise UnsupportedByUpstream("top_logprobs: this upstream reports no probabilities.")
    return path, {name: value for name, value in body.items() if name not in without}


def _require_supported(request: GenerationRequest, dialect: Dialect) -> None:
    if request.adapter is not None:
        raise UnsupportedByUpstream("adapter: an upstream offers its adapters as models of their own.")
    if not isinstance(request.answer_prefix, str):
        raise UnsupportedByUpstream("answer_prefix: an upstream takes an answer's beginning as text, not as tokens.")
    if request.score and not (dialect.scores and request.completion and not request.answer_prefix):
        raise UnsupportedByUpstream("score: this upstream does not tell the probabilities of a text that is given.")
    is_begun = request.answer_prefix or request.messages[-1].role == "assistant"
    if is_begun and not request.completion and dialect.continuation is None:
        name = "answer_prefix" if request.answer_prefix else "messages"
        raise UnsupportedByUpstream(f"{name}: this upstream cannot continue an answer that is given to it.")


def _text(request: GenerationRequest) -> str:
    return "".join(message.content for message in request.messages)


def _messages(request: GenerationRequest) -> list[dict[str, str]]:
    messages = [{"role": str(message.role), "content": message.content} for message in request.messages]
    if not request.answer_prefix:
        return messages
    begun = messages.pop()["content"] if messages[-1]["role"] == "assistant" else ""
    return [*messages, {"role": "assistant", "content": begun + str(request.answer_prefix)}]


def _score_body(request: GenerationRequest, model: str, dialect: Dialect) -> dict[str, Any]:
    return {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "prompt": _text(request),
        "max_tokens": 0,
        "echo": True,
        "logprobs": max(1, request.params.top_logprobs),
        **dialect.extra,
    }


def _sampling(params: SamplingParams, dialect: Dialect) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in _VLLM:
        value = getattr(params, name)
        is_default = value == getattr(_DEFAULTS, name)
        wire_name = dialect.takes.get(name)
        if wire_name is None and not is_default:
            raise UnsupportedByUpstream(f"{name}: this upstream does not take it.")
        if wire_name is not None and (not is_default or name in dialect.always):
            # A whole number is a float too, except for transformers (5.23), which refuses a temperature of 2.
            fields[wire_name] = float(value) if name in _FLOATS else value
    if params.top_k == 0 and "top_k" in fields:
        fields["top_k"] = dialect.top_k_off
    if "logit_bias" in fields:
        fields["logit_bias"] = {str(token_id): bias for token_id, bias in params.logit_bias.items()}
    if dialect.as_generation_config:
        fields = _as_generation_config(fields)
    if 0 < len(params.stop) <= MAX_STOPS_SENT:
        fields["stop"] = list(params.stop)
    return fields


def _as_generation_config(fields: Mapping[str, Any]) -> dict[str, Any]:
    config = {GENERATE_NAMES[name]: value for name, value in fields.items() if name in GENERATE_NAMES}
    config["do_sample"] = config["temperature"] > 0
    if not config["do_sample"]:
        config = {
            name: config[name] for name in config if name in {"do_sample", "repetition_penalty", "min_new_tokens"}
        }
    rest = {name: value for name, value in fields.items() if name not in GENERATE_NAMES}
    return {**rest, "generation_config": json.dumps(config)}
