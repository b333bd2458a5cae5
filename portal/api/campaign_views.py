"""`/api/v1/campaigns/`: what is asked of everybody until when, how it came out; made and changed by maintainers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPMethod
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.forms import model_to_dict
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import User
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.campaign_rows import (
    EXAMPLE,
    EXAMPLE_RESULTS,
    MEMBERS,
    CampaignResultsSerializer,
    CampaignRowSerializer,
    ChangeCampaignSerializer,
    NewCampaignSerializer,
    campaign_row,
    results_row,
)
from portal.api.conditions import precondition_failed, require_version, wants_unchanged
from portal.api.given_question import refuse_form, refused
from portal.api.idempotency import Done, do_once
from portal.api.operation import operation
from portal.api.paging import read_page
from portal.api.permissions import role_of
from portal.api.problems import Problem
from portal.api.questionnaire_rows import SLUG
from portal.api.questionnaire_views import MAKING, SCOPES
from portal.api.row_answers import done_headers, list_answer, page_of, part_of, row_answer
from portal.exports.criteria import InvalidCriterion
from portal.feedback.access import (
    get_campaign,
    get_maintained_campaign,
    may_maintain,
    may_see_results,
    require_maintainer,
)
from portal.feedback.campaign_crossing import CrossTable, categorical_questions, cross_table
from portal.feedback.campaign_results import campaign_results
from portal.feedback.campaign_services import CampaignConflict, change_campaign, make_campaign
from portal.feedback.editor_forms import CampaignForm
from portal.feedback.models import Campaign, Questionnaire
from portal.feedback.queries import campaigns_with_counts, submission_count

PATH: Final = [schema.in_path("slug", {"type": "string", "pattern": SLUG, "maxLength": 80}, gettext_lazy("Its name."))]
_ROW_EXAMPLE: Final = OpenApiExample("A campaign", value=EXAMPLE, response_only=True)
_KEY: Final = {"type": "string", "pattern": SLUG, "maxLength": 60}
_VALUES: Final = CampaignForm.Meta.fields


class CampaignList(ApiView):
    scopes = {**SCOPES, HTTPMethod.POST: MAKING}

    @operation(
        operation_id="campaigns_list",
        summary="Campaigns",
        description=(
            "All published campaigns in the order in which they were made; a maintainer's token with the scope "
            "admin also "
            "reads the others."
        ),
        parameters=[
            schema.query("open", {"type": "string", "enum": ["1"]}, gettext_lazy("Only those that take answers now.")),
            schema.query(
                "questionnaire",
                {"type": "string", "pattern": SLUG, "maxLength": 80},
                gettext_lazy("Only those that ask this one, any version."),
            ),
            schema.fields_parameter(MEMBERS),
            *schema.PAGE_PARAMETERS,
        ],
        responses={200: page_of(CampaignRowSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE], "next": None}, response_only=True)],
        tags=["campaigns"],
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        found = campaigns_with_counts(unpublished=may_maintain(role_of(request))).select_related("questionnaire")
        if "open" in asked:
            now = timezone.now()
            found = found.filter(Q(closes_at=None) | Q(closes_at__gt=now), opens_at__lte=now, is_published=True)
        if "questionnaire" in asked:
            found = found.filter(questionnaire__slug=asked["questionnaire"])
        page, following = read_page(request, found)
        rows = [campaign_row(each, each.count) for each in page]  # type: ignore[attr-defined]
        return list_answer(request, rows, following, MEMBERS)

    @operation(
        operation_id="campaigns_make",
        summary="Make a campaign",
        description="For maintainers.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=NewCampaignSerializer,
        responses={201: CampaignRowSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[
            OpenApiExample(
                "A campaign",
                value={
                    "slug": "first-impressions",
                    "title": "First impressions",
                    "questionnaire": "first-impressions",
                    "goal": 100,
                    "is_published": True,
                },
                request_only=True,
            ),
            _ROW_EXAMPLE,
        ],
        tags=["campaigns"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        author = require_maintainer(role_of(request))
        return _answer(request, do_once(request, self.actor, lambda: self._make(request, author)))

    def _make(self, request: Request, author: User) -> Done:
        body = NewCampaignSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        usual = model_to_dict(Campaign(), fields=_VALUES)
        values = _checked(CampaignForm({**usual, **_form_values(body.validated_data, None), "version": 0}))
        try:
            return Done(201, str(make_campaign(author, values).pk))
        except ValidationError as error:
            raise refused(error) from error


class CampaignDetail(ApiView):
    scopes = {**SCOPES, HTTPMethod.PATCH: MAKING}

    @operation(
        operation_id="campaigns_retrieve",
        summary="One campaign",
        parameters=[*PATH, schema.fields_parameter(MEMBERS)],
        responses={200: part_of(CampaignRowSerializer), **schema.problems(404)},
        examples=[_ROW_EXAMPLE],
        tags=["campaigns"],
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        return _answer(request, Done(200, str(get_campaign(role_of(request), slug).pk)))

    @operation(
        operation_id="campaigns_change",
        summary="Change a campaign",
        description=(
            "What is not named stays. Once somebody answered it, the questionnaire stays what it is. For maintainers; "
            "If-Match compares the version, so that answers that arrive are no obstacle."
        ),
        parameters=[*PATH, schema.IF_MATCH],
        request=ChangeCampaignSerializer,
        responses={200: CampaignRowSerializer, **schema.problems(404, 409, 412, 413, 415)},
        examples=[OpenApiExample("A change", value={"goal": 200}, request_only=True), _ROW_EXAMPLE],
        tags=["campaigns"],
    )
    def patch(self, request: Request, slug: str) -> HttpResponseBase:
        stored = get_maintained_campaign(role_of(request), slug)
        body = ChangeCampaignSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        require_version(request, stored.version)
        said = {**model_to_dict(stored, fields=_VALUES), **_form_values(body.validated_data, stored)}
        form = CampaignForm(
            {**said, "version": stored.version}, instance=get_maintained_campaign(role_of(request), slug)
        )
        if form.fields["questionnaire"].disabled and said["questionnaire"] != stored.questionnaire_id:
            message = _("It was answered already; a new campaign may ask another questionnaire.")
            raise refused(ValidationError({"questionnaire": message}))
        values = _checked(form)
        try:
            change_campaign(stored, values)
        except ValidationError as error:
            raise refused(error) from error
        except CampaignConflict as conflict:
            if wants_unchanged(request):
                raise precondition_failed(stored.version) from conflict
            message = _("Somebody else changed this campaign meanwhile. Read it again.")
            raise Problem("version-conflict", message) from conflict
        return _answer(request, Done(200, str(stored.pk)))


class CampaignResultsView(ApiView):
    scopes = SCOPES

    @operation(
        operation_id="campaigns_results",
        summary="How a campaign came out",
        description=(
            "For every question how many answered, counts, shares and means with intervals, and chosen quotes. 404 "
            "where the "
            "results are not shown to you. `row` and `column` cross two questions with few answers each."
        ),
        parameters=[
            *PATH,
            schema.query("row", _KEY, gettext_lazy("The key of a question; together with column.")),
            schema.query("column", _KEY, gettext_lazy("The key of another question.")),
        ],
        responses={200: CampaignResultsSerializer, **schema.problems(404)},
        examples=[OpenApiExample("Results", value=EXAMPLE_RESULTS, response_only=True)],
        tags=["campaigns"],
    )
    def get(self, request: Request, slug: str) -> Response:
        reader = role_of(request)
        campaign = get_campaign(reader, slug)
        if not may_see_results(reader, campaign):
            raise Http404
        crossed = _crossed(request, campaign)
        return Response(
            results_row(campaign_results(campaign), crossed), headers={"Cache-Control": "private, no-cache"}
        )


def _crossed(request: Request, campaign: Campaign) -> CrossTable | None:
    """Raises InvalidCriterion."""
    asked = request.query_params
    if "row" not in asked and "column" not in asked:
        return None
    crossable = {question.key: question for question in categorical_questions(campaign)}
    for name in ("row", "column"):
        if asked.get(name) not in crossable:
            raise InvalidCriterion(name, _("Must be one of: %s.") % ", ".join(crossable))
    if asked["row"] == asked["column"]:
        raise InvalidCriterion("column", _("Must be another question than row."))
    return cross_table(campaign, crossable[asked["row"]], crossable[asked["column"]])


def _form_values(given: Mapping[str, Any], stored: Campaign | None) -> dict[str, Any]:
    """`given` as the page's form has it, where a questionnaire is a number."""
    values = {name: value for name, value in given.items() if name != "questionnaire_version"}
    if "questionnaire" not in given and "questionnaire_version" not in given:
        return values
    slug = given.get("questionnaire", stored.questionnaire.slug if stored is not None else "")
    of_name = Questionnaire.objects.filter(slug=slug)
    version = given.get("questionnaire_version")
    found = of_name.filter(is_current=True) if version is None else of_name.filter(version=version)
    # What is not there is nothing that the form offers either.
    values["questionnaire"] = found.values_list("pk", flat=True).first() or 0
    return values


def _checked(form: CampaignForm) -> dict[str, Any]:
    if not form.is_valid():
        refuse_form(form)
    return {name: form.cleaned_data[name] for name in _VALUES}


def _answer(request: Request, done: Done) -> HttpResponseBase:
    campaign = get_object_or_404(Campaign.objects.select_related("questionnaire"), pk=done.made)
    headers = done_headers(done, reverse("api:campaign-detail", args=[campaign.slug]))
    row = campaign_row(campaign, submission_count(campaign))
    return row_answer(request, row, MEMBERS, status=done.status, headers=headers)
