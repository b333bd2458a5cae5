"""What a client sends to compare answers, and to vote on them."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from portal.accounts.actors import Actor
from portal.api.contests.rows import LETTERS
from portal.api.runs.bodies import MAX_MODEL_ID_CHARACTERS, ParametersField, read_parameters, read_variant, text_field
from portal.api.serializers import StrictIntegerField, StrictSerializer, StrictTextField
from portal.arena.forms import MIN_CONTENDERS, REASONS
from portal.arena.models import MAX_CONTENDERS, Outcome
from portal.arena.services import MAX_TURNS, Entry
from portal.playground.variant_defaults import default_parameters

MAX_POOL_CHARACTERS: Final = 60
_NONE_BETTER: Final = (Outcome.TIE.value, Outcome.BOTH_BAD.value)


class ContenderBody(StrictSerializer):
    """A variant and the parameters that it answers with."""

    variant = StrictTextField(max_length=MAX_MODEL_ID_CHARACTERS)
    parameters = ParametersField(required=False)


class ComparisonBody(StrictSerializer):
    """A prompt, and who answers it, from left to right."""

    prompt = text_field()
    system_prompt = text_field(required=False, allow_blank=True)
    contenders = serializers.ListField(child=ContenderBody(), min_length=MIN_CONTENDERS, max_length=MAX_CONTENDERS)


class BattleBody(StrictSerializer):
    """A prompt, and the pool that its two variants are drawn from."""

    prompt = text_field()
    pool = StrictTextField(
        required=False, max_length=MAX_POOL_CHARACTERS, help_text=_("Its name; without it the first one with a pair.")
    )


class TurnBody(StrictSerializer):
    """The next prompt to all of them."""

    prompt = text_field()


class ComparisonVoteBody(StrictSerializer):
    """The best answer of a turn, or that none is better."""

    turn = StrictIntegerField(
        required=False, min_value=1, max_value=MAX_TURNS, help_text=_("The last one where it is left out.")
    )
    verdict = serializers.ChoiceField(choices=(*LETTERS, *_NONE_BETTER))
    reasons = serializers.ListField(
        child=serializers.ChoiceField(choices=[key for key, _label in REASONS]),
        required=False,
        max_length=len(REASONS),
    )


class BattleVoteBody(StrictSerializer):
    """Which answer is better, as they stand: a on the left."""

    outcome = serializers.ChoiceField(choices=Outcome.values)


COMPARISON_BODY_EXAMPLE: Final = OpenApiExample(
    "Two precisions",
    value={
        "prompt": "What is a steelyard?",
        "contenders": [
            {"variant": "owner/name:bf16", "parameters": {"seed": 7}},
            {"variant": "owner/name:int8", "parameters": {"seed": 7}},
        ],
    },
    request_only=True,
)
BATTLE_BODY_EXAMPLE: Final = OpenApiExample("A prompt", value={"prompt": "What is a steelyard?"}, request_only=True)
TURN_EXAMPLE: Final = OpenApiExample("The next prompt", value={"prompt": "And in one sentence?"}, request_only=True)
COMPARISON_VOTE_EXAMPLE: Final = OpenApiExample(
    "The left one", value={"verdict": "a", "reasons": ["correct"]}, request_only=True
)
BATTLE_VOTE_EXAMPLE: Final = OpenApiExample("The right one", value={"outcome": "b"}, request_only=True)


def read_entries(actor: Actor, contenders: list[dict[str, Any]]) -> list[Entry]:
    """The contenders of a comparison. Raises Problem naming the one and the limit, and GateClosed."""
    entries = []
    for number, contender in enumerate(contenders):
        place = ("contenders", number)
        variant = read_variant(actor, contender["variant"], (*place, "variant"))
        given = contender.get("parameters", {})
        params = read_parameters(default_parameters(variant), given, (*place, "parameters"))
        entries.append(Entry(variant, params))
    return entries


def read_verdict(verdict: str) -> int | Outcome:
    """A side's position, or an outcome."""
    return Outcome(verdict) if verdict in _NONE_BETTER else LETTERS.index(verdict)
