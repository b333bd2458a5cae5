"""A body of `/v1/chat/completions`: what is asked for, checked; what is not supported here, refused by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from django.utils.translation import gettext as _

from inference.engine import Message
from inference.sampling_params import SamplingParams
from portal.api.openai.errors import OpenAIError
from portal.api.openai.messages import read_messages
from portal.api.openai.parameters import PARAMETERS, length_parameter, read_parameters, wants_logprobs
from portal.catalog.models import Variant
from portal.catalog.queries import get_variant_by_model_id

_UNDERSTOOD: Final = {"model", "messages", "stream", "stream_options", "user", *PARAMETERS}
# Not supported, except where they ask for what is done anyway.
_HARMLESS: Final[dict[str, Callable[[Any], bool]]] = {
    "n": lambda value: value == 1 and not isinstance(value, bool),
    "response_format": lambda value: value == {"type": "text"},
    "modalities": lambda value: value == ["text"],
    "tools": lambda value: value == [],
    "functions": lambda value: value == [],
    "tool_choice": lambda value: value == "none",
    "function_call": lambda value: value == "none",
    "store": lambda value: value is False,
    "service_tier": lambda value: value in {"auto", "default"} if isinstance(value, str) else False,
}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asks for. `messages` ends with the user's prompt; `length_name` is its name for max_tokens."""

    variant: Variant
    messages: tuple[Message, ...]
    params: SamplingParams
    logprobs: bool
    stream: bool
    include_usage: bool
    length_name: str


def read_chat_request(body: Any) -> ChatRequest:
    """Raises OpenAIError naming the parameter."""
    if not isinstance(body, dict):
        raise OpenAIError(_("The body must be a JSON object."))
    _refuse_unsupported(body)
    stream = _boolean(body, "stream", "stream")
    variant = read_model(body.get("model"))
    return ChatRequest(
        variant=variant,
        messages=tuple(read_messages(body.get("messages"))),
        params=read_parameters(body, variant),
        logprobs=wants_logprobs(body),
        stream=stream,
        include_usage=_include_usage(body.get("stream_options"), stream=stream),
        length_name=length_parameter(body),
    )


def read_model(model_id: Any) -> Variant:
    """The variant of this id. Raises OpenAIError, 404 for one that does not run here."""
    if not isinstance(model_id, str) or not model_id:
        raise OpenAIError(_("Name a model: owner/card or owner/card:variant."), param="model")
    variant = get_variant_by_model_id(model_id) if len(model_id) <= 300 else None
    if variant is None:
        raise OpenAIError(
            _("The model “%s” does not run here. /v1/models lists those that do.") % model_id[:300],
            param="model",
            code="model_not_found",
            status=HTTPStatus.NOT_FOUND,
        )
    return variant


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        # null is how clients leave a parameter out.
        if name in _UNDERSTOOD or value is None:
            continue
        if name in _HARMLESS and _HARMLESS[name](value):
            continue
        raise OpenAIError(
            _("“%s” is not supported here, or not with this value.") % name[:80],
            param=name[:80],
            code="unsupported_parameter",
        )
    user = body.get("user")
    if user is not None and not isinstance(user, str):
        raise OpenAIError(_("Must be a text."), param="user")


def _boolean(values: Mapping[str, Any], name: str, place: str) -> bool:
    value = values.get(name)
    if value is not None and not isinstance(value, bool):
        raise OpenAIError(_("Must be true or false."), param=place)
    return bool(value)


def _include_usage(options: Any, *, stream: bool) -> bool:
    if options is None:
        return False
    if not stream:
        raise OpenAIError(_("Is only allowed with stream: true."), param="stream_options")
    if not isinstance(options, dict):
        raise OpenAIError(_("Must be an object."), param="stream_options")
    for name, value in options.items():
        if name != "include_usage" and value is not None:
            raise OpenAIError(
                _("“%s” is not supported here.") % name[:80],
                param=f"stream_options.{name[:80]}",
                code="unsupported_parameter",
            )
    return _boolean(options, "include_usage", "stream_options.include_usage")
