"""`/api/v1/changes/`: what moved since a place, for jobs that come back every night."""

from __future__ import annotations

from http import HTTPMethod

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.api_view import READING, ApiView
from portal.api.operation import operation
from portal.api.paging import read_limit
from portal.api.serializers import ObjectField
from portal.exports.change_feed import JUDGEMENTS, Place, read_changes
from portal.exports.criteria import InvalidCriterion
from portal.exports.cursors import InvalidCursor
from portal.exports.models import ChangeKind, RecordKind


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

    @operation(
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
            # Whoever gives a day, which the exports' `since` takes, is told more than a length.
            schema.query("since", {"type": "string", "maxLength": 100}, gettext_lazy("A `next` of this address.")),
            schema.LIMIT,
            schema.names_query(
                "kind",
                RecordKind.values,
                gettext_lazy("Of what, separated by commas."),
                default=list(JUDGEMENTS),
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
        kinds = request.query_params.get("kind")
        place = _place(request.query_params.get("since"))
        changes = read_changes(place, limit, JUDGEMENTS if kinds is None else kinds.split(","))
        return Response({"results": changes.rows, "next": changes.next.encoded(), "has_more": changes.has_more})


def _place(text: str | None) -> Place:
    if text is None:
        return Place()
    try:
        return Place.decoded(text)
    except InvalidCursor as error:
        raise InvalidCriterion(
            "since",
            _("Must be a “next” that this address gave out, and no day; left out, all is read from the beginning."),
        ) from error
