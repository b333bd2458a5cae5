"""Comparisons and battles as the API tells of them: while a battle is blind, without a word on who answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from portal.accounts.actors import Actor
from portal.api.expansion import expanded
from portal.api.references import ConversationReference, HiddenGenerationReference, VariantReference
from portal.api.runs.generation_rows import EXAMPLE_GENERATION
from portal.api.serializers import ObjectField, PartSerializer
from portal.arena.forms import REASONS
from portal.arena.models import Contender, Contest, Kind, Outcome, VoidReason
from portal.arena.queries import Turn, turns_of
from portal.arena.showing import ShownReply, ShownTurn, show_turn
from portal.exports.rows import iso_utc

LETTERS: Final = ("a", "b", "c", "d")
LIST_EXPANDABLE: Final = ("variant", "conversation")
EXPANDABLE: Final = (*LIST_EXPANDABLE, "generation")


class ContenderSerializer(serializers.Serializer):  # type: ignore[type-arg]
    letter = serializers.ChoiceField(choices=LETTERS, help_text=_("Its side, from the left."))
    variant = VariantReference()
    conversation = ConversationReference()
    parameters = ObjectField()


class ReplySerializer(serializers.Serializer):  # type: ignore[type-arg]
    letter = serializers.ChoiceField(choices=LETTERS)
    generation = HiddenGenerationReference()
    output = serializers.CharField(allow_blank=True, help_text=_("Empty until it is whole; blind, until both are."))
    is_active = serializers.BooleanField()
    has_failed = serializers.BooleanField()


class ContestTurnSerializer(serializers.Serializer):  # type: ignore[type-arg]
    number = serializers.IntegerField(help_text=_("From 1."))
    prompt = serializers.CharField()
    is_active = serializers.BooleanField()
    is_votable = serializers.BooleanField()
    verdict = serializers.ChoiceField(
        choices=(*LETTERS, Outcome.TIE.value, Outcome.BOTH_BAD.value),
        allow_null=True,
        help_text=_("The best answer, or that none is."),
    )
    reasons = serializers.ListField(child=serializers.ChoiceField(choices=[key for key, _label in REASONS]))
    replies = ReplySerializer(many=True)


class ContestSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.UUIDField()
    title = serializers.CharField(allow_blank=True)
    turn_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    page = serializers.CharField(help_text=_("The address of its page."))


class ComparisonSerializer(ContestSerializer):
    """The same prompts to two to four variants or parameter sets."""

    is_voted = serializers.BooleanField()
    contenders = ContenderSerializer(many=True)


class ComparisonDetailSerializer(ComparisonSerializer):
    turns = ContestTurnSerializer(many=True)


class BattleSerializer(ContestSerializer):
    """The same prompts to two variants whose names are told after the vote."""

    pool = serializers.CharField()
    is_blind = serializers.BooleanField()
    outcome = serializers.ChoiceField(choices=Outcome.values, allow_null=True)
    contenders = ContenderSerializer(many=True, help_text=_("None while it is blind."))


class VoteSerializer(serializers.Serializer):  # type: ignore[type-arg]
    outcome = serializers.ChoiceField(choices=Outcome.values, allow_null=True)
    is_ranked = serializers.BooleanField()
    void_reason = serializers.ChoiceField(choices=VoidReason.values, allow_blank=True)


class BattleDetailSerializer(BattleSerializer):
    vote = VoteSerializer(allow_null=True)
    turns = ContestTurnSerializer(many=True)


class ComparisonPartSerializer(PartSerializer, ComparisonSerializer):
    """A comparison, or the members of it that `fields` names."""


class ComparisonDetailPartSerializer(PartSerializer, ComparisonDetailSerializer):
    """Likewise."""


class BattlePartSerializer(PartSerializer, BattleSerializer):
    """A battle, or the members of it that `fields` names."""


class BattleDetailPartSerializer(PartSerializer, BattleDetailSerializer):
    """Likewise."""


class ComparisonPageSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = ComparisonPartSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text=_("The next page; null at the end."))


class BattlePageSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = BattlePartSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text=_("The next page; null at the end."))


_CONTENDER: Final = {
    "letter": "a",
    "variant": "owner/name:bf16",
    "conversation": EXAMPLE_GENERATION["conversation"],
    "parameters": EXAMPLE_GENERATION["parameters"],
}
_REPLY: Final = {"letter": "a", "generation": None, "output": "", "is_active": True, "has_failed": False}
_TURN: Final = {
    "number": 1,
    "prompt": "What is a steelyard?",
    "is_active": True,
    "is_votable": False,
    "verdict": None,
    "reasons": [],
    "replies": [_REPLY, _REPLY | {"letter": "b"}],
}
_CONTEST: Final = {
    "id": "c1a0e7c2-30b5-4d27-9f1e-6f1d8f1f5b11",
    "title": "What is a steelyard?",
    "turn_count": 1,
    "created_at": "2026-05-01T12:00:00.000000Z",
}
EXAMPLE_COMPARISON: Final = _CONTEST | {
    "page": f"/compare/{_CONTEST['id']}/",
    "is_voted": False,
    "contenders": [_CONTENDER, _CONTENDER | {"letter": "b", "variant": "owner/name:int8"}],
}
EXAMPLE_BATTLE: Final = _CONTEST | {
    "page": f"/arena/{_CONTEST['id']}/",
    "pool": "models",
    "is_blind": True,
    "outcome": None,
    "contenders": [],
}
_NAMED: Final = _TURN | {"replies": [_REPLY | {"generation": EXAMPLE_GENERATION["id"]}, _REPLY | {"letter": "b"}]}
COMPARISON_EXAMPLE: Final = OpenApiExample(
    "A comparison", value=EXAMPLE_COMPARISON | {"turns": [_NAMED]}, response_only=True
)
BATTLE_EXAMPLE: Final = OpenApiExample(
    "A blind battle", value=EXAMPLE_BATTLE | {"vote": None, "turns": [_TURN]}, response_only=True
)
COMPARISON_FIELDS: Final = tuple(ComparisonSerializer().fields)
COMPARISON_DETAIL_FIELDS: Final = tuple(ComparisonDetailSerializer().fields)
BATTLE_FIELDS: Final = tuple(BattleSerializer().fields)
BATTLE_DETAIL_FIELDS: Final = tuple(BattleDetailSerializer().fields)


def contest_row(contest: Contest) -> dict[str, Any]:
    """One of `described_contests`."""
    contenders = list(contest.contenders.all())
    outcome: str | None = getattr(contest, "outcome", None) or None  # a withdrawn vote has none
    row = {
        "id": str(contest.pk),
        "title": contenders[0].conversation.title if contenders else "",
        "turn_count": getattr(contest, "turn_count", None) or 0,
        "created_at": iso_utc(contest.created_at),
        "page": contest.get_absolute_url(),
    }
    if contest.kind == Kind.SIDE_BY_SIDE:
        row["is_voted"] = outcome is not None
    else:
        row |= {"pool": contest.pool.slug if contest.pool else "", "is_blind": contest.is_blind, "outcome": outcome}
    # Not before: what is not read cannot be given away.
    return row | {"contenders": [] if contest.is_blind else [_contender_row(each) for each in contenders]}


def contest_detail(contest: Contest) -> dict[str, Any]:
    """The same, with its turns."""
    turns = turns_of(contest)
    row = contest_row(contest)
    if contest.kind == Kind.BATTLE:
        row["vote"] = None if contest.is_blind else _vote_row(turns)
    return row | {"turns": [_turn_row(show_turn(contest, turn)) for turn in turns]}


def expand_contests(actor: Actor, rows: Sequence[dict[str, Any]], names: Collection[str]) -> list[dict[str, Any]]:
    """The rows with what their contenders and replies name in the places of the ids."""
    shown = deepcopy(list(rows))
    contenders = [each for row in shown for each in row["contenders"]]
    replies = [each for row in shown for turn in row.get("turns", ()) for each in turn["replies"]]
    for parts in (contenders, replies):
        known = [name for name in names if parts and name in parts[0]]
        for part, whole in zip(parts, expanded(actor, parts, known), strict=True):
            part.update(whole)
    return shown


def _contender_row(contender: Contender) -> dict[str, Any]:
    return {
        "letter": contender.letter.lower(),
        "variant": contender.variant.model_id,
        "conversation": str(contender.conversation_id),
        "parameters": contender.params,
    }


def _turn_row(turn: ShownTurn) -> dict[str, Any]:
    return {
        "number": turn.number,
        "prompt": turn.prompt,
        "is_active": turn.is_active,
        "is_votable": turn.is_votable,
        "verdict": turn.best_letter.lower() or (turn.verdict.value if turn.verdict is not None else None),
        "reasons": list(turn.reasons),
        "replies": [_reply_row(each) for each in turn.replies],
    }


def _reply_row(reply: ShownReply) -> dict[str, Any]:
    return {
        "letter": reply.letter.lower(),
        "generation": str(reply.run.pk) if reply.run is not None else None,
        "output": reply.output,
        "is_active": reply.is_active,
        "has_failed": reply.has_failed,
    }


def _vote_row(turns: Sequence[Turn]) -> dict[str, Any] | None:
    votes = [vote for turn in turns for vote in turn.votes]
    if not votes:
        return None
    return {"outcome": votes[0].outcome or None, "is_ranked": votes[0].is_ranked, "void_reason": votes[0].void_reason}
