"""`/api/v1/me/questions/`: what reviewers ask about what you gave, and your answers."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any, Final

from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.idempotency import Done, do_to_once
from portal.api.operation import operation
from portal.api.own_things import own_scopes, read_body
from portal.api.paging import read_page
from portal.api.review_rows import MAX_ITEM
from portal.api.row_answers import done_headers, list_answer, members_of, page_of, row_answer
from portal.api.serializers import StrictSerializer, StrictTextField
from portal.exports.rows import iso_utc
from portal.reviews.forms import MAX_INQUIRY_CHARACTERS
from portal.reviews.models import Inquiry
from portal.reviews.queries.inquiries import open_inquiries
from portal.reviews.services.entering import answer_inquiry


class InquiryRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A reviewer's question about something that you gave."""

    id = serializers.IntegerField()
    submission = serializers.UUIDField(allow_null=True, help_text=gettext_lazy("Null where it is a vote."))
    vote = serializers.UUIDField(allow_null=True)
    question = serializers.CharField()
    asked_at = serializers.DateTimeField()
    answer = serializers.CharField(allow_blank=True)
    answered_at = serializers.DateTimeField(allow_null=True)


class AnswerInquirySerializer(StrictSerializer):
    answer = StrictTextField(max_length=MAX_INQUIRY_CHARACTERS)


_MEMBERS: Final = members_of(InquiryRowSerializer)
_EXAMPLE: Final = {
    "id": 7,
    "submission": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
    "vote": None,
    "question": "Which of the two dates is wrong?",
    "asked_at": "2026-05-01T12:00:00.000000Z",
    "answer": "",
    "answered_at": None,
}
_ANSWERED: Final = {**_EXAMPLE, "answer": "The second.", "answered_at": "2026-05-01T13:00:00.000000Z"}


class InquiryList(ApiView):
    scopes = own_scopes(HTTPMethod.GET, HTTPMethod.HEAD)

    @operation(
        operation_id="inquiries_list",
        summary="What reviewers ask you",
        description="Questions that wait for your answer, the first asked first.",
        parameters=[schema.fields_parameter(_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(InquiryRowSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [_EXAMPLE], "next": None}, response_only=True)],
        tags=["me"],
    )
    def get(self, request: Request) -> Response:
        page, following = read_page(request, open_inquiries(self.actor))
        return list_answer(request, map(_row, page), following, _MEMBERS)


class InquiryAnswering(ApiView):
    scopes = {HTTPMethod.POST: (Scope.SUBMIT,)}

    @operation(
        operation_id="inquiries_answer",
        summary="Answer a reviewer's question",
        description="What you gave goes back to the reviewers with it. 404 for what is not asked of you any more.",
        parameters=[
            schema.in_path(
                "inquiry_id", {"type": "integer", "minimum": 1, "maximum": MAX_ITEM}, gettext_lazy("Its number.")
            ),
            schema.IDEMPOTENCY_KEY,
        ],
        request=AnswerInquirySerializer,
        responses={200: InquiryRowSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[
            OpenApiExample("An answer", value={"answer": "The second."}, request_only=True),
            OpenApiExample("An answered question", value=_ANSWERED, response_only=True),
        ],
        tags=["me"],
    )
    def post(self, request: Request, inquiry_id: int) -> HttpResponseBase:
        def find() -> Inquiry:
            return get_object_or_404(open_inquiries(self.actor), pk=inquiry_id)

        def answer(asked: Inquiry) -> Done:
            text = read_body(request, AnswerInquirySerializer)["answer"]
            if not answer_inquiry(asked.item.subject, asked, text):
                raise Http404
            return Done(200, str(inquiry_id))

        done = do_to_once(request, self.actor, find, answer)
        answered = get_object_or_404(Inquiry.objects.select_related("item"), pk=done.made)
        return row_answer(request, _row(answered), _MEMBERS, headers=done_headers(done))


def _row(inquiry: Inquiry) -> dict[str, Any]:
    item, answered_at = inquiry.item, inquiry.answered_at
    return {
        "id": inquiry.pk,
        "submission": str(item.submission_id) if item.submission_id is not None else None,
        "vote": str(item.vote_id) if item.vote_id is not None else None,
        "question": inquiry.question,
        "asked_at": iso_utc(inquiry.asked_at),
        "answer": inquiry.answer,
        "answered_at": iso_utc(answered_at) if answered_at is not None else None,
    }
