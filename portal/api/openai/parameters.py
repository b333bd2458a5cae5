"""The sampling parameters in a request, by OpenAI's names, become `SamplingParams`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from inference.sampling_params import SamplingParams, find_invalid
from portal.api.openai.asked_run import read_boolean
from portal.api.openai.errors import OpenAIError
from portal.catalog.models import Variant
from portal.playground.variant_defaults import default_parameters, max_tokens_allowed

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
CHAT_PARAMETERS: Final = (*_SAME_NAME, *_LENGTHS, "stop", "logprobs", "top_logprobs")
COMPLETION_PARAMETERS: Final = (*_SAME_NAME, "max_tokens", "stop", "logprobs")


def read_chat_parameters(body: Mapping[str, Any], variant: Variant) -> SamplingParams:
    """What the request leaves out takes the variant's default, as in the playground.

    Raises OpenAIError naming the parameter and its limit.
    """
    length_name = length_parameter(body)
    given = {"max_tokens": body.get(length_name), "top_logprobs": _top_logprobs(body)}
    return _read(body, variant, given, {"max_tokens": length_name})


def read_completion_parameters(body: Mapping[str, Any], variant: Variant) -> SamplingParams:
    """Likewise of a plain completion, where `logprobs` is the number of alternatives."""
    given = {"max_tokens": body.get("max_tokens"), "top_logprobs": body.get("logprobs") or 0}
    if isinstance(body.get("logprobs"), bool):
        raise OpenAIError(_("Must be a whole number: how many alternatives are told."), param="logprobs")
    return _read(body, variant, given, {"top_logprobs": "logprobs"})


def length_parameter(body: Mapping[str, Any]) -> str:
    """What the request calls the bound on the answer's tokens. Raises OpenAIError for two that differ."""
    given = [name for name in _LENGTHS if body.get(name) is not None]
    if len(given) > 1 and body[given[0]] != body[given[1]]:
        raise OpenAIError(_("Differs from max_completion_tokens; give one of them."), param="max_tokens")
    return given[0] if given else _LENGTHS[0]


def _read(
    body: Mapping[str, Any], variant: Variant, given: Mapping[str, Any], names: Mapping[str, str]
) -> SamplingParams:
    """`names` are the request's own, where they differ."""
    given = {name: body.get(name) for name in (*_SAME_NAME, "stop")} | dict(given)
    if isinstance(given["stop"], str):
        given["stop"] = [given["stop"]]
    chosen = {name: value for name, value in given.items() if value is not None}
    values = default_parameters(variant) | chosen
    if wrong := find_invalid(values, max_tokens_allowed()):
        name = names.get(wrong[0].field, wrong[0].field)
        raise OpenAIError(f"{name}: {wrong[0].limit}.", param=name)
    return SamplingParams.from_mapping(values)


def _top_logprobs(body: Mapping[str, Any]) -> Any:
    wanted = body.get("top_logprobs")
    if wanted and not read_boolean(body, "logprobs", "logprobs"):
        raise OpenAIError(_("Needs logprobs: true."), param="top_logprobs")
    return wanted or 0
