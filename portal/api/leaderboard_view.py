"""`/api/v1/leaderboard/`: a pool's ranking by the arena's votes, as its page shows it."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any, Final

from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.operation import operation
from portal.arena.leaderboard import Leaderboard, Row, read_filters, read_leaderboard, unknown_filters
from portal.arena.models import Category, Pool
from portal.arena.queries import pool_named, pools_with_newest_vote
from portal.arena.ranking import PERIODS
from portal.exports.criteria import InvalidCriterion
from portal.exports.rows import iso_utc

READING: Final = (Scope.READ, Scope.EXPORT)
_SLUG: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,60}$"}
_ONE: Final = {"type": "string", "enum": ["1"]}
_EXAMPLE_PLACE: Final = {"elo": 1012.4, "lower": 988.1, "upper": 1040.9, "rank": 1}
_EXAMPLE: Final = {
    "pool": "general",
    "votes": 240,
    "newer": 2,
    "is_current": False,
    "computed_at": "2026-05-01T12:00:00.000000Z",
    "rounds": 1000,
    "models": [
        {
            "model": "owner/name:bf16",
            "n": 120,
            "wins": 60,
            "losses": 40,
            "ties": 20,
            "score": {"share": 0.5833, "lower": 0.4939, "upper": 0.6679, "n": 120},
            "part": 0,
            "plain": _EXAMPLE_PLACE,
            "styled": None,
        }
    ],
}


class PlaceSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A rating on Elo's scale with its 95 % bootstrap interval, and the rank by intervals."""

    elo = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()
    rank = serializers.IntegerField()


class ShareSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A share with its 95 % interval and what it is of."""

    share = serializers.FloatField(allow_null=True)
    lower = serializers.FloatField()
    upper = serializers.FloatField()
    n = serializers.IntegerField()


class RankedModelSerializer(serializers.Serializer):  # type: ignore[type-arg]
    model = serializers.CharField(allow_null=True, help_text=gettext_lazy("Null where its card is not published."))
    n = serializers.IntegerField(help_text=gettext_lazy("Votes."))
    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    ties = serializers.IntegerField()
    score = ShareSerializer()
    part = serializers.IntegerField(help_text=gettext_lazy("Ratings compare within a part: no votes connect two."))
    plain = PlaceSerializer()
    styled = PlaceSerializer(allow_null=True, help_text=gettext_lazy("With style held equal; null with few votes."))


class LeaderboardSerializer(serializers.Serializer):  # type: ignore[type-arg]
    pool = serializers.CharField()
    votes = serializers.IntegerField(help_text=gettext_lazy("That the ratings were computed from."))
    newer = serializers.IntegerField(help_text=gettext_lazy("That came since; a worker is at it."))
    is_current = serializers.BooleanField()
    computed_at = serializers.DateTimeField(allow_null=True)
    rounds = serializers.IntegerField(allow_null=True, help_text=gettext_lazy("Of the bootstrap."))
    models = RankedModelSerializer(many=True)


class LeaderboardView(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}

    @operation(
        operation_id="leaderboard_retrieve",
        summary="The leaderboard",
        description=(
            "Best first within each part. What the filters select is ranked by a worker when it is first asked for: "
            "until then `computed_at` is null and `models` is empty."
        ),
        parameters=[
            schema.query("pool", _SLUG, gettext_lazy("Else that of the newest vote.")),
            schema.query("language", {"type": "string", "pattern": "^[a-z]{2,3}$"}, gettext_lazy("Of the prompts.")),
            schema.query("category", {"type": "string", "enum": Category.values}, gettext_lazy("Of the prompts.")),
            schema.query("hard", _ONE, gettext_lazy("Only hard prompts.")),
            schema.query("days", {"type": "integer", "enum": list(PERIODS)}, gettext_lazy("Only the last days.")),
            schema.query("accepted", _ONE, gettext_lazy("Only votes that a reviewer accepted.")),
        ],
        responses={200: LeaderboardSerializer, **schema.problems(404)},
        examples=[OpenApiExample("A leaderboard", value=_EXAMPLE, response_only=True)],
        tags=["arena"],
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        pool = pool_named(asked.get("pool", ""), pools_with_newest_vote())
        if pool is None:
            raise Http404
        filters = read_filters(asked, pool.slug)
        # The page says what it leaves out; a program is refused.
        for name in unknown_filters(asked, filters):
            raise InvalidCriterion(name, _("Has no such value."))
        return Response(_leaderboard_json(pool, read_leaderboard(filters)))


def _leaderboard_json(pool: Pool, board: Leaderboard) -> dict[str, Any]:
    result = board.result or {}
    return {
        "pool": pool.slug,
        "votes": result.get("votes", 0),
        "newer": board.newer,
        "is_current": board.is_current,
        "computed_at": iso_utc(board.computed_at) if board.computed_at is not None else None,
        "rounds": result.get("rounds"),
        "models": [_row_json(row) for row in board.rows],
    }


def _row_json(row: Row) -> dict[str, Any]:
    is_named = row.variant is not None and row.variant.card.is_published
    figures = {name: value for name, value in row.figures.items() if name != "variant"}
    return {"model": row.name if is_named else None, **figures}
