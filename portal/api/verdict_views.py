"""Verdicts over REST: given under a claim, and taken back; and how far reviewers agree."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import User
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.idempotency import Done, do_once, do_to_once
from portal.api.operation import operation
from portal.api.permissions import page_request
from portal.api.review_filters import read_filters
from portal.api.review_rows import (
    EXAMPLE_VERDICT,
    MAX_ITEM,
    GiveVerdictSerializer,
    ItemDetailSerializer,
    VerdictRowSerializer,
    verdict_row,
)
from portal.api.review_views import DETAIL_EXAMPLE, DOING, ITEM_PATH, READING, item_answer
from portal.api.row_answers import done_headers, members_of, part_of, row_answer
from portal.exports.criteria import InvalidCriterion
from portal.reviews.access import get_item, require_maintainer, require_reviewer, require_staff
from portal.reviews.agreement import Agreement
from portal.reviews.models import Review
from portal.reviews.proportions import Share
from portal.reviews.queries.agreeing import AgreementReport, agreement_report
from portal.reviews.queries.item_page import item_page
from portal.reviews.queries.measuring import shown_verdicts
from portal.reviews.services.verdicts import Judgement, record_verdict, undo_verdict

_VERDICT_PATH: Final = [
    schema.in_path("verdict_id", {"type": "integer", "minimum": 1, "maximum": MAX_ITEM}, gettext_lazy("Its number."))
]
_MEMBERS: Final = members_of(VerdictRowSerializer)
_VERDICT_EXAMPLE: Final = OpenApiExample("A verdict", value=EXAMPLE_VERDICT, response_only=True)
_DAY: Final = {"type": "string", "format": "date"}


class VerdictGiving(ApiView):
    scopes = DOING

    @operation(
        operation_id="review_verdicts_give",
        summary="Judge an item that you hold",
        description=(
            "One verdict per person and item; where the verdicts differ, a third person's decides. The same claim "
            "again "
            "answers with the verdict that it led to (200). 409 when the claim is not yours any more."
        ),
        parameters=[*ITEM_PATH, schema.IDEMPOTENCY_KEY],
        request=GiveVerdictSerializer,
        responses={201: VerdictRowSerializer, 200: VerdictRowSerializer, **schema.problems(404, 409, 413, 415, 422)},
        examples=[
            OpenApiExample(
                "Accepted",
                value={"claim": 1, "verdict": "accept", "labels": ["factual-error"], "answers": {"helpfulness": 2}},
                request_only=True,
            ),
            OpenApiExample(
                "Rejected", value={"claim": 1, "verdict": "reject", "reason": "unfounded"}, request_only=True
            ),
            _VERDICT_EXAMPLE,
        ],
        tags=["review"],
    )
    def post(self, request: Request, item_id: int) -> HttpResponseBase:
        reviewer = require_reviewer(page_request(request))
        get_item(item_id)
        done = do_once(request, self.actor, lambda: self._judge(request, reviewer, item_id))
        given = Review.objects.select_related("reviewer").filter(pk=done.made, reviewer=reviewer)
        review = next(iter(shown_verdicts(reviewer, given)), None)
        if review is None:
            raise Http404
        headers = done_headers(done, reverse("api:review-verdict", args=[review.pk]))
        return row_answer(
            request, verdict_row(review), _MEMBERS, version=review.pk, status=done.status, headers=headers
        )

    def _judge(self, request: Request, reviewer: User, item_id: int) -> Done:
        body = GiveVerdictSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given: dict[str, Any] = dict(body.validated_data)
        claim = given.pop("claim")
        before = Review.objects.filter(item=item_id, reviewer=reviewer).count()
        judgement = Judgement(**{**given, "labels": tuple(given.get("labels", ()))})
        review = record_verdict(reviewer, item_id, claim, judgement)
        is_new = Review.objects.filter(item=item_id, reviewer=reviewer).count() > before
        return Done(201 if is_new else 200, str(review.pk))


class VerdictDetail(ApiView):
    scopes = READING

    @operation(
        operation_id="review_verdicts_retrieve",
        summary="One verdict",
        description="Your own; another one once its item is decided between all.",
        parameters=[*_VERDICT_PATH, schema.fields_parameter(_MEMBERS)],
        responses={200: part_of(VerdictRowSerializer), **schema.problems(404)},
        examples=[_VERDICT_EXAMPLE],
        tags=["review"],
    )
    def get(self, request: Request, verdict_id: int) -> HttpResponseBase:
        reviewer = require_staff(page_request(request))
        wanted = get_object_or_404(Review, pk=verdict_id)
        # The item's page knows whose verdicts this person may see.
        page = item_page(get_item(wanted.item_id), reviewer)
        review = next((each for each in page.reviews if each.pk == verdict_id), None)
        if review is None:
            raise Http404
        return row_answer(request, verdict_row(review), _MEMBERS, version=review.pk)


class VerdictUndoing(ApiView):
    scopes = DOING

    @operation(
        operation_id="review_verdicts_undo",
        summary="Take back a verdict of your own",
        description=(
            "Within a day, and before somebody decided between the verdicts. The item opens again, for you first."
        ),
        parameters=[*_VERDICT_PATH, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: ItemDetailSerializer, **schema.problems(404, 409, 413, 415, 422)},
        examples=[DETAIL_EXAMPLE],
        tags=["review"],
    )
    def post(self, request: Request, verdict_id: int) -> HttpResponseBase:
        reviewer = require_reviewer(page_request(request))

        def find() -> Review:
            return get_object_or_404(Review, pk=verdict_id, reviewer=reviewer)

        def undo(verdict: Review) -> Done:
            return Done(200, str(undo_verdict(reviewer, verdict.pk).pk))

        done = do_to_once(request, self.actor, find, undo)
        return item_answer(request, reviewer, int(done.made), done)


class AlphaSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Krippendorff's alpha with its bootstrap interval, 95 %; null where it is not defined."""

    alpha = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    units = serializers.IntegerField(help_text=gettext_lazy("What at least two people judged."))
    values = serializers.IntegerField(help_text=gettext_lazy("By how many judgements."))


class MeasuredSerializer(serializers.Serializer):  # type: ignore[type-arg]
    # Named as the report names it, although a serializer has a label of its own; this one only describes.
    label = serializers.CharField()  # type: ignore[assignment]
    metric = serializers.CharField()
    agreement = AlphaSerializer()


class AgreeingShareSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A share in percent with Wilson's interval, 95 %."""

    part = serializers.IntegerField()
    whole = serializers.IntegerField()
    percent = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class ConfusionSerializer(serializers.Serializer):  # type: ignore[type-arg]
    said = serializers.CharField(help_text=gettext_lazy("What the one said."))
    counts = serializers.ListField(child=serializers.IntegerField(), help_text=gettext_lazy("In the order of columns."))


class PairSerializer(serializers.Serializer):  # type: ignore[type-arg]
    one = serializers.CharField()
    other = serializers.CharField()
    same = AgreeingShareSerializer()
    agreement = AlphaSerializer()
    confusion = ConfusionSerializer(many=True)


class GoldSerializer(serializers.Serializer):  # type: ignore[type-arg]
    reviewer = serializers.CharField()
    right = AgreeingShareSerializer()


class AgreementSerializer(serializers.Serializer):  # type: ignore[type-arg]
    since = serializers.DateField()
    until = serializers.DateField()
    is_cut = serializers.BooleanField(help_text=gettext_lazy("Whether older verdicts of the period are left out."))
    verdicts = AlphaSerializer()
    questions = MeasuredSerializer(many=True)
    months = MeasuredSerializer(many=True)
    columns = serializers.ListField(child=serializers.CharField())
    pairs = PairSerializer(many=True)
    gold = GoldSerializer(many=True)


_ALPHA: Final = {"alpha": 0.71, "low": 0.55, "high": 0.84, "units": 60, "values": 124}
_SHARE: Final = {"part": 27, "whole": 30, "percent": 90.0, "low": 74.4, "high": 96.5}
_EXAMPLE: Final = {
    "since": "2026-02-01",
    "until": "2026-05-01",
    "is_cut": False,
    "verdicts": _ALPHA,
    "questions": [{"label": "Answer quality: Helpfulness", "metric": "ordinal", "agreement": _ALPHA}],
    "months": [{"label": "2026-04", "metric": "nominal", "agreement": _ALPHA}],
    "columns": ["Accept", "Reject", "Duplicate", "Spam"],
    "pairs": [
        {
            "one": "ruth",
            "other": "omar",
            "same": _SHARE,
            "agreement": _ALPHA,
            "confusion": [{"said": "Accept", "counts": [20, 2, 0, 0]}],
        }
    ],
    "gold": [{"reviewer": "ruth", "right": _SHARE}],
}


class AgreementView(ApiView):
    scopes = READING

    @operation(
        operation_id="review_agreement",
        summary="How far reviewers agree",
        description=(
            "Krippendorff's alpha of a period (the last 90 days, when left out): of the verdicts, per question, "
            "month and "
            "pair of reviewers; and what gold items measured. For maintainers."
        ),
        parameters=[
            schema.query("since", _DAY, gettext_lazy("The first day (UTC).")),
            schema.query("until", _DAY, gettext_lazy("The last day (UTC).")),
        ],
        responses={200: AgreementSerializer, **schema.problems(404)},
        examples=[OpenApiExample("Agreement", value=_EXAMPLE, response_only=True)],
        tags=["review"],
    )
    def get(self, request: Request) -> Response:
        require_maintainer(page_request(request))
        asked = request.query_params
        filters = read_filters({name: asked[name] for name in ("since", "until") if name in asked})
        if filters.since is not None and filters.until is not None and filters.since > filters.until:
            raise InvalidCriterion("since", _("Must not be after until."))
        return Response(_report(agreement_report(filters.since, filters.until)))


def _report(report: AgreementReport) -> dict[str, Any]:
    return {
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "is_cut": report.is_cut,
        "verdicts": _alpha(report.verdicts),
        "questions": [_measured(each.label, each.metric, each.agreement) for each in report.questions],
        "months": [_measured(each.label, each.metric, each.agreement) for each in report.months],
        "columns": report.columns,
        "pairs": [
            {
                "one": pair.one,
                "other": pair.other,
                "same": _share(pair.same),
                "agreement": _alpha(pair.agreement),
                "confusion": [{"said": said, "counts": counts} for said, counts in pair.cells],
            }
            for pair in report.pairs
        ],
        "gold": [{"reviewer": each.reviewer, "right": _share(each.right)} for each in report.gold],
    }


def _measured(label: str, metric: str, agreement: Agreement) -> dict[str, Any]:
    return {"label": label, "metric": str(metric), "agreement": _alpha(agreement)}


def _alpha(agreement: Agreement) -> dict[str, Any]:
    return asdict(agreement)


def _share(share: Share) -> dict[str, Any]:
    return {**asdict(share), "percent": share.percent, "low": share.low, "high": share.high}
