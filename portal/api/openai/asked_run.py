"""What a body below `/v1/` asks for, whichever its form, and the members that all forms share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext as _

from inference.engine import Message
from inference.sampling_params import SamplingParams
from portal.api.openai.errors import OpenAIError
from portal.catalog.models import Variant
from portal.catalog.queries import get_variant_by_model_id
from portal.playground.models import Kind

MAX_CHOICES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRun:
    """What a client asks for, checked. The `…_name`s are the request's own for the prompt and for max_tokens."""

    variant: Variant
    kind: Kind
    prompt: str
    history: tuple[Message, ...] = ()
    params: SamplingParams
    choices: int
    logprobs: bool
    stream: bool
    include_usage: bool
    prompt_name: str
    length_name: str


def require_supported(
    body: Any, understood: Collection[str], harmless: Mapping[str, Callable[[Any], bool]]
) -> dict[str, Any]:
    """The body as an object without members that mean nothing here.

    `harmless` are not supported, except where they ask for what is done anyway. Raises OpenAIError.
    """
    if not isinstance(body, dict):
        raise OpenAIError(_("The body must be a JSON object."))
    for name, value in body.items():
        # null is how clients leave a parameter out.
        if name in understood or value is None:
            continue
        if name in harmless and harmless[name](value):
            continue
        raise OpenAIError(
            _("“%s” is not supported here, or not with this value.") % name[:80],
            param=name[:80],
            code="unsupported_parameter",
        )
    user = body.get("user")
    if user is not None and not isinstance(user, str):
        raise OpenAIError(_("Must be a text."), param="user")
    return body


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


def read_boolean(values: Mapping[str, Any], name: str, place: str) -> bool:
    """False where it is left out. Raises OpenAIError for what is neither true nor false."""
    value = values.get(name)
    if value is not None and not isinstance(value, bool):
        raise OpenAIError(_("Must be true or false."), param=place)
    return bool(value)


def read_choices(body: Mapping[str, Any]) -> int:
    """`n`: how many answers are wanted, 1 where it is left out. Raises OpenAIError."""
    value = body.get("n")
    if value is None:
        return 1
    # Each is a run of its own, and more than may be under way at a time cannot be.
    most = max(1, min(MAX_CHOICES, settings.MAX_CONCURRENT_GENERATIONS))
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise OpenAIError(_("n: Must be a whole number from 1 to %d.") % most, param="n")
    return value


def wants_usage(body: Mapping[str, Any]) -> bool:
    """`stream_options.include_usage`. Raises OpenAIError, also where nothing is streamed."""
    options = body.get("stream_options")
    if options is None:
        return False
    if not read_boolean(body, "stream", "stream"):
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
    return read_boolean(options, "include_usage", "stream_options.include_usage")
