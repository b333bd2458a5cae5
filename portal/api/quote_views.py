"""`/api/v1/campaigns/…/quotes/`: what people wrote in a campaign, and whom its results quote; for maintainers."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.campaign_views import PATH
from portal.api.idempotency import Done, do_once
from portal.api.operation import operation
from portal.api.own_things import read_body
from portal.api.paging import read_latest_page
from portal.api.permissions import role_of
from portal.api.questionnaire_views import MAKING
from portal.api.row_answers import done_headers, list_answer, members_of, page_of, row_answer
from portal.api.serializers import StrictIntegerField, StrictSerializer
from portal.feedback.access import get_maintained_campaign, require_maintainer
from portal.feedback.campaign_services import choose_quote, drop_quote
from portal.feedback.models import Answer, Consent
from portal.feedback.queries import text_answers

MAX_ANSWER: Final = 2**63 - 1
_NUMBER: Final = {"type": "integer", "minimum": 1, "maximum": MAX_ANSWER}


class WrittenAnswerSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Something that somebody wrote in a campaign."""

    answer = serializers.IntegerField(help_text=gettext_lazy("Its number."))
    submission = serializers.UUIDField()
    question = serializers.CharField(help_text=gettext_lazy("The question's key."))
    text = serializers.CharField()
    may_be_quoted = serializers.BooleanField(help_text=gettext_lazy("Whether its writer agreed."))
    is_chosen = serializers.BooleanField(help_text=gettext_lazy("Whether the results show it."))


class ChooseQuoteSerializer(StrictSerializer):
    answer = StrictIntegerField(min_value=1, max_value=MAX_ANSWER)


_MEMBERS: Final = members_of(WrittenAnswerSerializer)
_EXAMPLE: Final = {
    "answer": 91,
    "submission": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
    "question": "why",
    "text": "It names its sources.",
    "may_be_quoted": True,
    "is_chosen": False,
}


class QuoteList(ApiView):
    scopes = dict.fromkeys((HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.POST), MAKING)

    @operation(
        operation_id="campaign_quotes_list",
        summary="What people wrote in a campaign",
        description="The last written first, with who may be quoted and who is. For maintainers.",
        parameters=[*PATH, schema.fields_parameter(_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(WrittenAnswerSerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [_EXAMPLE], "next": None}, response_only=True)],
        tags=["campaigns"],
    )
    def get(self, request: Request, slug: str) -> Response:
        campaign = get_maintained_campaign(role_of(request), slug)
        page, following = read_latest_page(request, text_answers(campaign))
        return list_answer(request, map(_row, page), following, _MEMBERS)

    @operation(
        operation_id="campaign_quotes_choose",
        summary="Show somebody's words with the results",
        description="404 for words whose writer did not agree to be quoted. For maintainers.",
        parameters=[*PATH, schema.IDEMPOTENCY_KEY],
        request=ChooseQuoteSerializer,
        responses={201: WrittenAnswerSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[
            OpenApiExample("An answer", value={"answer": 91}, request_only=True),
            OpenApiExample("A quote", value={**_EXAMPLE, "is_chosen": True}, response_only=True),
        ],
        tags=["campaigns"],
    )
    def post(self, request: Request, slug: str) -> HttpResponseBase:
        maintainer = require_maintainer(role_of(request))
        campaign = get_maintained_campaign(maintainer, slug)

        def choose() -> Done:
            answer = read_body(request, ChooseQuoteSerializer)["answer"]
            try:
                return Done(201, str(choose_quote(maintainer, campaign, answer).answer_id))
            except Answer.DoesNotExist:
                raise Http404 from None

        done = do_once(request, self.actor, choose)
        row = _row(get_object_or_404(text_answers(campaign), pk=done.made))
        return row_answer(request, row, _MEMBERS, status=done.status, headers=done_headers(done))


class QuoteDetail(ApiView):
    scopes = {HTTPMethod.DELETE: MAKING}

    @operation(
        operation_id="campaign_quotes_drop",
        summary="Show these words no longer",
        description="The answer stays. For maintainers.",
        parameters=[*PATH, schema.in_path("answer", _NUMBER, gettext_lazy("The answer's number."))],
        responses={204: None, **schema.problems(404)},
        tags=["campaigns"],
    )
    def delete(self, request: Request, slug: str, answer: int) -> HttpResponseBase:
        campaign = get_maintained_campaign(role_of(request), slug)
        # A number beyond the column's is no error of the database's, where the answer's own key is asked for.
        get_object_or_404(text_answers(campaign).filter(quote__campaign=campaign), pk=answer)
        drop_quote(campaign, answer)
        return HttpResponse(status=204)


def _row(answer: Answer) -> dict[str, Any]:
    return {
        "answer": answer.pk,
        "submission": str(answer.submission_id),
        "question": answer.question.key,
        "text": answer.value,
        "may_be_quoted": answer.submission.consent == Consent.QUOTE,
        "is_chosen": hasattr(answer, "quote"),
    }
