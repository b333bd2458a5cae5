"""The accepted submissions that a known limitation was made of, over REST: for maintainers, as on its page."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.limitation_views import PATH
from portal.api.operation import operation
from portal.api.paging import read_page
from portal.api.permissions import page_request
from portal.api.review_rows import EXAMPLE_DETAIL, EXAMPLE_RUN, RunSerializer, run_row
from portal.api.row_answers import list_answer, members_of, page_of
from portal.api.serializers import ObjectField
from portal.exports.rows import iso_utc
from portal.reviews.access import get_limitation, require_maintainer
from portal.reviews.models import LimitationReport
from portal.reviews.queries.limitations import reports_of

READING: Final = (Scope.REVIEW, Scope.ADMIN)


class LimitationReportRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One accepted submission; of a withdrawn one neither what was said is left, nor the run told."""

    submission = serializers.UUIDField()
    item = serializers.IntegerField(allow_null=True, help_text=_("Under which it was reviewed; null: never queued."))
    added_at = serializers.DateTimeField(help_text=_("When the limitation was made of it."))
    created_at = serializers.DateTimeField(help_text=_("When it was given."))
    is_withdrawn = serializers.BooleanField()
    answers = ObjectField(help_text=_("Question key → value, only what was answered."))
    run = RunSerializer(allow_null=True, help_text=_("The answer that it is about; null where it is about none."))


MEMBERS: Final = members_of(LimitationReportRowSerializer)
EXAMPLE: Final = {
    "submission": EXAMPLE_DETAIL["submission"],
    "item": EXAMPLE_DETAIL["id"],
    "added_at": "2026-05-02T12:00:00.000000Z",
    "created_at": "2026-05-01T12:00:00.000000Z",
    "is_withdrawn": False,
    "answers": EXAMPLE_DETAIL["answers"],
    "run": EXAMPLE_RUN,
}


class LimitationReportList(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING}

    @operation(
        operation_id="limitation_reports_list",
        summary="The reports that a limitation was made of",
        description=(
            "In the order in which they were added, each with what was said, the run that it is about and its item of "
            "the review queue. For maintainers; 404 for others."
        ),
        parameters=[*PATH, schema.fields_parameter(MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(LimitationReportRowSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE], "next": None}, response_only=True)],
        tags=["limitations"],
    )
    def get(self, request: Request, limitation_id: uuid.UUID) -> Response:
        require_maintainer(page_request(request))
        wanted = get_limitation(page_request(request), limitation_id)
        page, following = read_page(request, reports_of(wanted))
        return list_answer(request, map(_report_row, page), following, MEMBERS)


def _report_row(report: LimitationReport) -> dict[str, Any]:
    submission = report.submission
    run = submission.generation
    item = getattr(submission, "review_item", None)
    return {
        "submission": str(submission.pk),
        "item": item.pk if item is not None else None,
        "added_at": iso_utc(report.added_at),
        "created_at": iso_utc(submission.created_at),
        "is_withdrawn": submission.is_withdrawn,
        "answers": submission.values(),
        "run": run_row(run) if run is not None and not submission.is_withdrawn else None,
    }
