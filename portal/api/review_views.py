"""`/api/v1/review/`: the queue for reviewers; an item is held by one person at a time, and judged blind."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPMethod
from typing import Final

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope, User
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.idempotency import Done, do_once, do_to_once
from portal.api.operation import operation
from portal.api.paging import next_address, read_limit
from portal.api.permissions import page_request
from portal.api.problems import Problem
from portal.api.review_filters import FILTERS, NextItemSerializer, read_filters
from portal.api.review_rows import (
    DETAIL_MEMBERS,
    EXAMPLE_DETAIL,
    EXAMPLE_ROW,
    MAX_ITEM,
    ROW_MEMBERS,
    ItemDetailSerializer,
    ItemRowSerializer,
    item_detail,
    item_row,
)
from portal.api.row_answers import done_headers, list_answer, page_of, part_of, row_answer
from portal.exports.criteria import InvalidCriterion
from portal.reviews.access import get_item, require_maintainer, require_reviewer, require_staff
from portal.reviews.models import ReviewItem
from portal.reviews.queries.item_page import item_page
from portal.reviews.queries.items import held_by, list_items, read_cursor
from portal.reviews.queries.measuring import ItemReader
from portal.reviews.services.claims import claim_item, claim_next
from portal.reviews.services.verdicts import reopen_item

REVIEWING: Final[tuple[Scope, ...]] = (Scope.REVIEW,)
READING: Final[Mapping[str, tuple[Scope, ...]]] = {HTTPMethod.GET: REVIEWING, HTTPMethod.HEAD: REVIEWING}
DOING: Final[Mapping[str, tuple[Scope, ...]]] = {HTTPMethod.POST: REVIEWING}
ITEM_PATH: Final = [
    schema.in_path("item_id", {"type": "integer", "minimum": 1, "maximum": MAX_ITEM}, gettext_lazy("Its number."))
]
DETAIL_EXAMPLE: Final = OpenApiExample("An item", value=EXAMPLE_DETAIL, response_only=True)


class ItemList(ApiView):
    scopes = READING

    @operation(
        operation_id="review_items_list",
        summary="The review queue",
        description=(
            "Everything that is or was under review, the newest first: what enters meanwhile comes before the "
            "first page, and "
            "following `next` reads every other row once. For reviewers, maintainers and operators; 404 for others."
        ),
        parameters=[*FILTERS, schema.fields_parameter(ROW_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(ItemRowSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE_ROW], "next": None}, response_only=True)],
        tags=["review"],
    )
    def get(self, request: Request) -> Response:
        reviewer = require_staff(page_request(request))
        asked = request.query_params
        filters = read_filters({name: asked[name] for name in asked})
        cursor = asked.get("cursor", "")
        if "cursor" in asked and read_cursor(cursor) is None:
            raise InvalidCriterion("cursor", _("Is not a cursor that this API gave out."))
        page = list_items(ItemReader(reviewer), filters, cursor, read_limit(asked.get("limit")), as_data=True)
        rows = [item_row(item, answers=page.said.get(item.submission_id, {})) for item in page.items]
        return list_answer(request, rows, next_address(request, page.older) if page.older else None, ROW_MEMBERS)


class NextClaim(ApiView):
    scopes = DOING

    @operation(
        operation_id="review_claims_next",
        summary="Take the next item",
        description=(
            "The one that you hold (200), or else the most urgent that fits the filters and that you may judge "
            "(201); 204 when "
            "none is. It is yours for some minutes: claim it again to keep it longer."
        ),
        parameters=[schema.IDEMPOTENCY_KEY],
        request=NextItemSerializer,
        responses={
            201: ItemDetailSerializer,
            200: ItemDetailSerializer,
            204: None,
            **schema.problems(404, 413, 415, 422),
        },
        examples=[
            OpenApiExample("Any", value={}, request_only=True),
            OpenApiExample("About a card", value={"card": "owner/name", "thumb": "down"}, request_only=True),
            DETAIL_EXAMPLE,
        ],
        tags=["review"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        reviewer = require_reviewer(page_request(request))
        done = do_once(request, self.actor, lambda: self._take(request, reviewer))
        if not done.made:
            return HttpResponse(status=204, headers=done_headers(done))
        return item_answer(request, reviewer, int(done.made), done)

    def _take(self, request: Request, reviewer: User) -> Done:
        body = NextItemSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        filters = read_filters(body.validated_data)
        held = held_by(reviewer)
        taken = claim_next(reviewer, filters)
        if taken is None:
            return Done(204, "")
        return Done(200 if taken == held else 201, str(taken.pk))


class ItemDetail(ApiView):
    scopes = READING

    @operation(
        operation_id="review_items_retrieve",
        summary="One item",
        description=(
            "What was said, the answers that it is about, what is like it, and your own verdict. Other people's "
            "verdicts are "
            "told once all have spoken."
        ),
        parameters=[*ITEM_PATH, schema.fields_parameter(DETAIL_MEMBERS)],
        responses={200: part_of(ItemDetailSerializer), **schema.problems(404)},
        examples=[DETAIL_EXAMPLE],
        tags=["review"],
    )
    def get(self, request: Request, item_id: int) -> HttpResponseBase:
        return item_answer(request, require_staff(page_request(request)), item_id)


class ItemClaim(ApiView):
    scopes = {**DOING, HTTPMethod.DELETE: REVIEWING}

    @operation(
        operation_id="review_items_claim",
        summary="Take this item, or keep it longer",
        description=(
            "201 when it is yours now, and what you held before goes back; 200 when it was yours already, for as "
            "long again. "
            "409 when somebody holds it or it is not yours to judge: your own, judged by you, or escalated."
        ),
        parameters=[*ITEM_PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={
            201: ItemDetailSerializer,
            200: ItemDetailSerializer,
            **schema.problems(404, 409, 413, 415, 422),
        },
        examples=[DETAIL_EXAMPLE],
        tags=["review"],
    )
    def post(self, request: Request, item_id: int) -> HttpResponseBase:
        reviewer = require_reviewer(page_request(request))
        done = do_to_once(request, self.actor, lambda: get_item(item_id), lambda wanted: self._take(reviewer, wanted))
        return item_answer(request, reviewer, item_id, done)

    def _take(self, reviewer: User, wanted: ReviewItem) -> Done:
        if wanted.renew(reviewer, wanted.policy.lease):
            return Done(200, str(wanted.pk))
        if not claim_item(reviewer, wanted):
            message = _("You cannot take this item: somebody holds it, or it is not yours to judge.")
            raise Problem("claim-lost", message)
        return Done(201, str(wanted.pk))

    @operation(
        operation_id="review_items_release",
        summary="Give an item back without a verdict",
        parameters=ITEM_PATH,
        responses={204: None, **schema.problems(404)},
        tags=["review"],
    )
    def delete(self, request: Request, item_id: int) -> HttpResponseBase:
        reviewer = require_reviewer(page_request(request))
        held = get_item(item_id)
        if not held.is_held_by(reviewer) or not held.release(reviewer):
            raise Http404
        return HttpResponse(status=204)


class ItemReopening(ApiView):
    scopes = DOING

    @operation(
        operation_id="review_items_reopen",
        summary="Set an item's verdicts aside",
        description="It waits anew; the verdicts stay readable. Nothing happens where there are none. For maintainers.",
        parameters=[*ITEM_PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: ItemDetailSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[DETAIL_EXAMPLE],
        tags=["review"],
    )
    def post(self, request: Request, item_id: int) -> HttpResponseBase:
        maintainer = require_maintainer(page_request(request))
        get_item(item_id)

        def reopen() -> Done:
            reopen_item(maintainer, item_id)
            return Done(200, str(item_id))

        return item_answer(request, maintainer, item_id, do_once(request, self.actor, reopen))


def item_answer(request: Request, reviewer: User, item_id: int, done: Done | None = None) -> HttpResponse:
    """The item as this reviewer may see it."""
    item = get_item(item_id)
    row = item_detail(item_page(item, reviewer), reviewer)
    done = done or Done(200, str(item_id))
    headers = done_headers(done, reverse("api:review-item", args=[item_id]))
    return row_answer(
        request, row, DETAIL_MEMBERS, version=item.submission_version, status=done.status, headers=headers
    )
