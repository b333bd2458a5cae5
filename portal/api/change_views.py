"""`/api/v1/changes/`: what moved since a place, for jobs that come back every night."""

from __future__ import annotations

from http import HTTPMethod
from typing import Final

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.feedback_views import READING, ApiView
from portal.api.paging import read_limit
from portal.api.serializers import ObjectField
from portal.exports.change_feed import JUDGEMENTS, Place, read_changes
from portal.exports.criteria import MAX_ECHOED_CHARACTERS, InvalidCriterion
from portal.exports.cursors import InvalidCursor
from portal.exports.models import ChangeKind, RecordKind

_KINDS: Final = "|".join(RecordKind.values)


class ChangeSerializer(serializers.Serializer):  # type: ignore[type-arg]
    kind = serializers.ChoiceField(choices=RecordKind.values)
    id = serializers.CharField()
    change = serializers.ChoiceField(choices=ChangeKind.values)
    at = serializers.DateTimeField()
    row = ObjectField(allow_null=True)


class ChangesSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = ChangeSerializer(many=True)
    next = serializers.CharField()
    has_more = serializers.BooleanField()


class ChangeList(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}
    parameters = ("since", "limit", "kind", "format")

    @extend_schema(
        operation_id="changes_list",
        summary="What moved since a place",
        description=(
            "Submissions and votes that were created, changed or withdrawn, in an order in which nothing appears later "
            "before a place that was read. Keep `next` and send it as `since` the next time; without it everything "
            "is read from the beginning. `row` is the record as it is now, as the exports submissions and comparisons "
            "have it, and null when it was withdrawn. `kind` asks for others as well: a verdict is what reviewers "
            "decided on the submission or vote of that id, a limitation has its own id, a snapshot its number."
        ),
        parameters=[
            OpenApiParameter("since", {"type": "string", "minLength": 22, "maxLength": 22}, description="A `next`."),
            OpenApiParameter(
                "limit",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": schema.MAX_PAGE_ROWS,
                    "default": schema.DEFAULT_PAGE_ROWS,
                },
                description="Changes at a time.",
            ),
            OpenApiParameter(
                "kind",
                {"type": "string", "pattern": f"^(?:{_KINDS})(?:,(?:{_KINDS}))*$", "default": ",".join(JUDGEMENTS)},
                description="Of what, separated by commas.",
            ),
        ],
        responses={200: ChangesSerializer, **schema.problems()},
        examples=[
            OpenApiExample(
                "A page",
                value={
                    "results": [
                        {
                            "kind": "submission",
                            "id": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
                            "change": "withdrawn",
                            "at": "2026-05-01T12:00:00.000000Z",
                            "row": None,
                        }
                    ],
                    "next": "AAAAAAAAAAAAAAAAAAAAKg",
                    "has_more": False,
                },
                response_only=True,
            )
        ],
        tags=["changes"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        limit = read_limit(request.query_params.get("limit"))
        place, kinds = _place(request.query_params.get("since")), _chosen_kinds(request.query_params.get("kind"))
        changes = read_changes(place, limit, kinds)
        return Response({"results": changes.rows, "next": changes.next.encoded(), "has_more": changes.has_more})


def _chosen_kinds(text: str | None) -> tuple[str, ...]:
    if text is None:
        return JUDGEMENTS
    kinds = tuple(text.split(","))
    if unknown := [kind for kind in kinds if kind not in RecordKind.values]:
        values = {"given": unknown[0][:MAX_ECHOED_CHARACTERS], "known": ", ".join(RecordKind.values)}
        raise InvalidCriterion("kind", _("There is no kind “%(given)s”. There are: %(known)s.") % values)
    return kinds


def _place(text: str | None) -> Place:
    if text is None:
        return Place()
    try:
        return Place.decoded(text)
    except InvalidCursor as error:
        raise InvalidCriterion("since", _("Is not a place that this API gave out.")) from error
