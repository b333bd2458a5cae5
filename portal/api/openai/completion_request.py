"""A body of `/v1/completions`: a text to be continued as it stands, without a chat template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.utils.translation import gettext as _

from portal.api.openai.asked_run import AskedRun, read_boolean, read_choices, read_model, require_supported, wants_usage
from portal.api.openai.errors import OpenAIError
from portal.api.openai.parameters import COMPLETION_PARAMETERS, read_completion_parameters
from portal.playground.models import Kind

_UNDERSTOOD: Final = {"model", "prompt", "stream", "stream_options", "user", "n", *COMPLETION_PARAMETERS}
_HARMLESS: Final[dict[str, Callable[[Any], bool]]] = {
    "best_of": lambda value: value == 1 and not isinstance(value, bool),
    "echo": lambda value: value is False,
    "suffix": lambda value: value == "",
}


def read_completion_request(body: Any) -> AskedRun:
    """Raises OpenAIError naming the parameter."""
    body = require_supported(body, _UNDERSTOOD, _HARMLESS)
    stream = read_boolean(body, "stream", "stream")
    variant = read_model(body.get("model"))
    return AskedRun(
        variant=variant,
        kind=Kind.COMPLETION,
        prompt=_read_prompt(body.get("prompt")),
        params=read_completion_parameters(body, variant),
        choices=read_choices(body),
        logprobs=body.get("logprobs") is not None,
        stream=stream,
        include_usage=wants_usage(body),
        prompt_name="prompt",
        length_name="max_tokens",
    )


def _read_prompt(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise OpenAIError(
            _("Must be one text, alone or in a list; several at a time, and token ids, are not supported."),
            param="prompt",
        )
    return value
