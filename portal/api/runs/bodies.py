"""What a client sends to start a run: bodies, and what the services make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from inference.sampling_params import (
    MAX_LOGIT_BIAS_ENTRIES,
    MAX_NEW_TOKENS,
    MAX_SEED,
    MAX_STOP_STRING_CHARACTERS,
    MAX_STOP_STRINGS,
    MAX_TEMPERATURE,
    MAX_TOP_LOGPROBS,
    SamplingParams,
    find_invalid,
)
from portal.accounts.actors import Actor
from portal.api.problems import FieldError, Problem, placing, pointer
from portal.api.serializers import StrictIntegerField, StrictSerializer, StrictTextField, StrictUuidField
from portal.catalog.access import require_access
from portal.catalog.models import Variant
from portal.catalog.queries import get_variant_by_model_id
from portal.playground.access import get_conversation, get_generation
from portal.playground.models import Conversation, Generation, Kind
from portal.playground.prompt_messages import Overflow
from portal.playground.queries import find_turn
from portal.playground.rerunning import answer_again
from portal.playground.services import PreparedGeneration, prepare_generation
from portal.playground.tree import read_tree
from portal.playground.variant_defaults import default_parameters, max_tokens_allowed

MAX_MODEL_ID_CHARACTERS: Final = 300
MAX_NUMBER: Final = 2**31 - 1
# Where the services' fields stand in a body.
PLACES: Final = {"max_tokens": ("parameters", "max_tokens"), "context": ("prompt",)}


def _number(low: float, high: float, *, above_low: bool = False) -> dict[str, Any]:
    return {"type": "number", "exclusiveMinimum" if above_low else "minimum": low, "maximum": high}


def _whole(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


_STOP: Final = {"type": "string", "minLength": 1, "maxLength": MAX_STOP_STRING_CHARACTERS}
PARAMETERS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "temperature": _number(0, MAX_TEMPERATURE),
        "top_p": _number(0, 1, above_low=True),
        "top_k": _whole(0, 1_000_000),
        "min_p": _number(0, 1),
        "repetition_penalty": _number(0, 2, above_low=True),
        "presence_penalty": _number(-2, 2),
        "frequency_penalty": _number(-2, 2),
        "max_tokens": _whole(1, MAX_NEW_TOKENS),
        "min_tokens": _whole(0, MAX_NEW_TOKENS),
        "seed": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_SEED},
        "stop": {"type": "array", "items": _STOP, "maxItems": MAX_STOP_STRINGS},
        "logit_bias": {
            "type": "object",
            "maxProperties": MAX_LOGIT_BIAS_ENTRIES,
            "propertyNames": {"pattern": "^[0-9]{1,9}$"},
            "additionalProperties": _number(-100, 100),
        },
        "top_logprobs": _whole(0, MAX_TOP_LOGPROBS),
    },
}


@extend_schema_field(PARAMETERS_SCHEMA)
class ParametersField(serializers.Field):  # type: ignore[type-arg]
    """Sampling parameters by name; `SamplingParams` checks what is in it."""

    default_error_messages = {"invalid": gettext_lazy("Must be an object of parameter to value.")}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return dict(data)

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


def text_field(**options: Any) -> StrictTextField:
    """A text that is kept as it was sent."""
    return StrictTextField(trim_whitespace=False, **options)


class RunBody(StrictSerializer):
    """A prompt for a new conversation, or for the next turn of one."""

    variant = StrictTextField(
        max_length=MAX_MODEL_ID_CHARACTERS, help_text=gettext_lazy("owner/name:variant; owner/name is its first.")
    )
    prompt = text_field()
    kind = serializers.ChoiceField(
        choices=Kind.choices,
        default=Kind.CHAT.value,
        help_text=gettext_lazy("completion goes on from the text as it stands; score only measures it."),
    )
    conversation = StrictUuidField(required=False, allow_null=True, help_text=gettext_lazy("Without it a new one."))
    # Serializers have a parent of their own; the class moves this one to its fields.
    parent = StrictUuidField(  # type: ignore[assignment]
        required=False,
        allow_null=True,
        help_text=gettext_lazy("The run to follow: the newest one where this is left out, none for null."),
    )
    edits = StrictUuidField(
        required=False,
        help_text=gettext_lazy("In the place of both: the run whose prompt this one takes the place of, beside it."),
    )
    system_prompt = text_field(
        required=False, allow_blank=True, help_text=gettext_lazy("The conversation's, from now on.")
    )
    parameters = ParametersField(
        required=False, help_text=gettext_lazy("What is left out is as the variant's defaults have it.")
    )
    overflow = serializers.ChoiceField(
        choices=[each.value for each in Overflow],
        default=Overflow.REFUSE.value,
        help_text=gettext_lazy("What becomes of a prompt that leaves no room for an answer."),
    )


class AgainBody(StrictSerializer):
    """With what a prompt is answered once more; without members as it was, with a seed of its own."""

    variant = StrictTextField(required=False, max_length=MAX_MODEL_ID_CHARACTERS)
    parameters = ParametersField(required=False)


class BranchBody(StrictSerializer):
    """Another choice for one token of an answer."""

    token = StrictIntegerField(min_value=0, max_value=MAX_NUMBER, help_text=gettext_lazy("Its number, from 0."))
    alternative = StrictIntegerField(
        min_value=0, max_value=MAX_NUMBER, help_text=gettext_lazy("The place in its `top`, from 0.")
    )


RUN_EXAMPLE: Final = OpenApiExample(
    "A prompt",
    value={
        "variant": "owner/name:bf16",
        "prompt": "What is a steelyard?",
        "parameters": {"temperature": 0.7, "max_tokens": 256},
    },
    request_only=True,
)
AGAIN_EXAMPLE: Final = OpenApiExample("Cooler", value={"parameters": {"temperature": 0.2}}, request_only=True)
BRANCH_EXAMPLE: Final = OpenApiExample("Another beginning", value={"token": 0, "alternative": 1}, request_only=True)


def prepare_run(actor: Actor, given: Mapping[str, Any]) -> PreparedGeneration:
    """Check what a `RunBody` asks for. Raises Problem, Http404, LimitExceeded, GateClosed."""
    variant = read_variant(actor, given["variant"], ("variant",))
    params = read_parameters(default_parameters(variant), given.get("parameters", {}), ("parameters",))
    conversation, parent = _place(actor, given)
    with placing(PLACES):
        return prepare_generation(
            actor,
            variant=variant,
            prompt=given["prompt"],
            params=params,
            system_prompt=given.get("system_prompt"),
            conversation=conversation,
            parent=parent,
            kind=Kind(given["kind"]),
            overflow=Overflow(given["overflow"]),
        )


def start_run(run: PreparedGeneration) -> Generation:
    """Raises Problem, LimitExceeded."""
    with placing(PLACES):
        return run.start()


def start_again(actor: Actor, earlier: Generation, given: Mapping[str, Any]) -> Generation:
    """Answer a run's prompt once more as an `AgainBody` asks for. Raises as `start_run` does."""
    variant = read_variant(actor, given["variant"], ("variant",)) if "variant" in given else earlier.variant
    before = earlier.params if variant == earlier.variant else default_parameters(variant)
    params = read_parameters({**before, "seed": None}, given.get("parameters", {}), ("parameters",))
    with placing(PLACES):
        return answer_again(actor, earlier, variant=variant, params=params)


def read_variant(actor: Actor, model_id: str, place: tuple[object, ...]) -> Variant:
    """Raises Problem for one that does not run here, GateClosed for one that is not open to the actor."""
    variant = get_variant_by_model_id(model_id)
    if variant is None:
        raise refusal(_("“%s” does not run here.") % model_id, place)
    require_access(actor.user, variant.card)
    return variant


def read_parameters(defaults: Mapping[str, Any], given: Mapping[str, Any], place: tuple[object, ...]) -> SamplingParams:
    """The parameters given, over the defaults. Raises Problem naming each that is wrong and its limit."""
    values = {**defaults, **given}
    if wrong := find_invalid(values, max_tokens_allowed()):
        errors = tuple(FieldError(f"{one.field}: {one.limit}.", pointer=pointer(*place, one.field)) for one in wrong)
        raise Problem("invalid-request", " ".join(error.detail for error in errors), errors)
    return SamplingParams.from_mapping(values)


def refusal(detail: str, place: tuple[object, ...]) -> Problem:
    """What is wrong with one value of the body."""
    return Problem("invalid-request", detail, (FieldError(detail, pointer=pointer(*place)),))


def _place(actor: Actor, given: Mapping[str, Any]) -> tuple[Conversation | None, Generation | None]:
    """The conversation, and the run in it that is followed."""
    if "edits" in given:
        for name in ("conversation", "parent"):
            if name in given:
                raise refusal(_("Not together with edits, which says it already."), (name,))
        edited = get_generation(actor, given["edits"])
        return edited.conversation, edited.parent
    if given.get("conversation") is None:
        if given.get("parent") is not None:
            raise refusal(_("Name the conversation too."), ("conversation",))
        return None, None
    conversation = get_conversation(actor, given["conversation"])
    followed = given["parent"] if "parent" in given else read_tree(conversation).newest
    if followed is None:
        return conversation, None
    parent = find_turn(conversation, followed)
    if parent is None:
        raise refusal(_("There is no such run in this conversation."), ("parent",))
    return conversation, parent
