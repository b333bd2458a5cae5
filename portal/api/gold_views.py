"""`/api/v1/review/gold/`: decided items that reviewers are measured by; maintainers alone know which."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.idempotency import Done, do_once
from portal.api.operation import operation
from portal.api.own_things import read_body
from portal.api.paging import read_page
from portal.api.permissions import page_request
from portal.api.problems import Problem
from portal.api.review_views import DOING, ITEM_PATH, READING
from portal.api.row_answers import done_headers, list_answer, members_of, page_of, row_answer
from portal.api.serializers import StrictSerializer, StrictTextField
from portal.exports.rows import iso_utc
from portal.reviews.access import get_item, require_maintainer
from portal.reviews.models import GoldItem
from portal.reviews.services.verdicts import MAX_NOTE_CHARACTERS, mark_gold
from portal.reviews.settling import Verdict


class GoldRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A decided item with a known answer; reviewers meet it unmarked among the others."""

    item = serializers.IntegerField()
    verdict = serializers.ChoiceField(choices=Verdict.values, help_text=gettext_lazy("The right one."))
    note = serializers.CharField(allow_blank=True, help_text=gettext_lazy("Why."))
    created_by = serializers.CharField(allow_null=True, help_text=gettext_lazy("Null when the account is gone."))
    created_at = serializers.DateTimeField()


class MarkGoldSerializer(StrictSerializer):
    note = StrictTextField(
        allow_blank=True, max_length=MAX_NOTE_CHARACTERS, default="", help_text=gettext_lazy("Why it is right.")
    )


_MEMBERS: Final = members_of(GoldRowSerializer)
_EXAMPLE: Final = {
    "item": 12,
    "verdict": "accept",
    "note": "The source is named in the second line.",
    "created_by": "maria",
    "created_at": "2026-05-01T12:00:00.000000Z",
}
_ROW: Final = OpenApiExample("A gold item", value=_EXAMPLE, response_only=True)


class GoldList(ApiView):
    scopes = READING

    @operation(
        operation_id="review_gold_list",
        summary="Gold items",
        description="In the order in which they were made. The agreement tells how reviewers did. For maintainers.",
        parameters=[schema.fields_parameter(_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(GoldRowSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [_EXAMPLE], "next": None}, response_only=True)],
        tags=["review"],
    )
    def get(self, request: Request) -> Response:
        require_maintainer(page_request(request))
        page, following = read_page(request, GoldItem.objects.select_related("created_by"))
        return list_answer(request, map(_row, page), following, _MEMBERS)


class GoldMarking(ApiView):
    scopes = DOING

    @operation(
        operation_id="review_gold_mark",
        summary="Measure reviewers by this item",
        description=(
            "By its outcome, so it has to be decided (409). Again takes outcome and note as they are now (200). "
            "For maintainers."
        ),
        parameters=[*ITEM_PATH, schema.IDEMPOTENCY_KEY],
        request=MarkGoldSerializer,
        responses={201: GoldRowSerializer, 200: GoldRowSerializer, **schema.problems(404, 409, 413, 415, 422)},
        examples=[OpenApiExample("Why", value={"note": _EXAMPLE["note"]}, request_only=True), _ROW],
        tags=["review"],
    )
    def post(self, request: Request, item_id: int) -> HttpResponseBase:
        maintainer = require_maintainer(page_request(request))
        get_item(item_id)

        def mark() -> Done:
            note = read_body(request, MarkGoldSerializer)["note"]
            status = 200 if GoldItem.objects.filter(item=item_id).exists() else 201
            try:
                mark_gold(maintainer, item_id, note)
            except ValidationError as error:
                raise Problem("not-decided", " ".join(error.messages)) from error
            return Done(status, str(item_id))

        done = do_once(request, self.actor, mark)
        gold = get_object_or_404(GoldItem.objects.select_related("created_by"), item=item_id)
        return row_answer(request, _row(gold), _MEMBERS, status=done.status, headers=done_headers(done))


def _row(gold: GoldItem) -> dict[str, Any]:
    return {
        "item": gold.item_id,
        "verdict": gold.verdict,
        "note": gold.note,
        "created_by": gold.created_by.username if gold.created_by is not None else None,
        "created_at": iso_utc(gold.created_at),
    }
