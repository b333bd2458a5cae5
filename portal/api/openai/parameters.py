"""The sampling parameters in a request, by OpenAI's names, become `SamplingParams`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from inference.sampling_params import InvalidParameter, SamplingParams
from portal.api.openai.errors import OpenAIError
from portal.catalog.models import Variant
from portal.playground.variant_defaults import default_parameters

# By the same name here and there. The last four are not OpenAI's; its own client sends them in `extra_body`.
_SAME_NAME: Final = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
)
_LENGTHS: Final = ("max_completion_tokens", "max_tokens")
PARAMETERS: Final = (*_SAME_NAME, *_LENGTHS, "stop", "logprobs", "top_logprobs")


def read_parameters(body: Mapping[str, Any], variant: Variant) -> SamplingParams:
    """What the request leaves out takes the variant's default, as in the playground.

    Raises OpenAIError naming the parameter and its limit.
    """
    given = {name: body[name] for name in _SAME_NAME if body.get(name) is not None}
    length_name = _length_name(body)
    if length_name is not None:
        given["max_tokens"] = body[length_name]
    stop = body.get("stop")
    if stop is not None:
        given["stop"] = [stop] if isinstance(stop, str) else stop
    given["top_logprobs"] = _top_logprobs(body)
    try:
        return SamplingParams.from_mapping(default_parameters(variant) | given)
    except InvalidParameter as error:
        name = length_name if error.field == "max_tokens" and length_name else error.field
        raise OpenAIError(f"{name}: {error.limit}.", param=name) from error


def wants_logprobs(body: Mapping[str, Any]) -> bool:
    """Raises OpenAIError for what is neither true nor false."""
    value = body.get("logprobs")
    if value is not None and not isinstance(value, bool):
        raise OpenAIError(_("Must be true or false."), param="logprobs")
    return bool(value)


def length_parameter(body: Mapping[str, Any]) -> str:
    """What the request calls the bound on the answer's tokens."""
    return _length_name(body) or _LENGTHS[0]


def _length_name(body: Mapping[str, Any]) -> str | None:
    given = [name for name in _LENGTHS if body.get(name) is not None]
    if len(given) > 1 and body[given[0]] != body[given[1]]:
        raise OpenAIError(_("Differs from max_completion_tokens; give one of them."), param="max_tokens")
    return given[0] if given else None


def _top_logprobs(body: Mapping[str, Any]) -> Any:
    wanted = body.get("top_logprobs")
    if wanted and not wants_logprobs(body):
        raise OpenAIError(_("Needs logprobs: true."), param="top_logprobs")
    return wanted or 0
