"""A body of `/v1/chat/completions`: what is asked for, checked; what is not supported here, refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from portal.api.openai.asked_run import AskedRun, read_boolean, read_choices, read_model, require_supported, wants_usage
from portal.api.openai.messages import read_messages
from portal.api.openai.parameters import CHAT_PARAMETERS, length_parameter, read_chat_parameters
from portal.playground.models import Kind

_UNDERSTOOD: Final = {"model", "messages", "stream", "stream_options", "user", "n", *CHAT_PARAMETERS}
_HARMLESS: Final[dict[str, Callable[[Any], bool]]] = {
    "response_format": lambda value: value == {"type": "text"},
    "modalities": lambda value: value == ["text"],
    "tools": lambda value: value == [],
    "functions": lambda value: value == [],
    "tool_choice": lambda value: value == "none",
    "function_call": lambda value: value == "none",
    "store": lambda value: value is False,
    "service_tier": lambda value: value in {"auto", "default"} if isinstance(value, str) else False,
}


def read_chat_request(body: Any) -> AskedRun:
    """Raises OpenAIError naming the parameter."""
    body = require_supported(body, _UNDERSTOOD, _HARMLESS)
    stream = read_boolean(body, "stream", "stream")
    variant = read_model(body.get("model"))
    *history, last = read_messages(body.get("messages"))
    return AskedRun(
        variant=variant,
        kind=Kind.CHAT,
        prompt=last.content,
        history=tuple(history),
        params=read_chat_parameters(body, variant),
        choices=read_choices(body),
        logprobs=read_boolean(body, "logprobs", "logprobs"),
        stream=stream,
        include_usage=wants_usage(body),
        prompt_name="messages",
        length_name=length_parameter(body),
    )
