"""`/api/v1/feedback/`: judgements read by anybody with a token, given and changed by the person whose run it was."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from http import HTTPMethod
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.accounts.actors import Actor, request_network
from portal.accounts.limits import check_rate, read_headroom
from portal.accounts.models import ApiToken, Scope, User
from portal.api import schema
from portal.api.conditions import precondition_failed, require_match, tagged, tagged_unless_known, wants_unchanged
from portal.api.expansion import expanded, read_expand
from portal.api.field_choice import chosen_fields, only_fields
from portal.api.idempotency import Done, do_once
from portal.api.negotiation import CsvRenderer, FormatNegotiation, JsonLinesRenderer, ParquetRenderer
from portal.api.paging import next_address, read_limit, read_position
from portal.api.parsers import BoundedJSONParser
from portal.api.permissions import HasScope, has_any_scope
from portal.api.problems import Problem
from portal.api.serializers import (
    FeedbackPageSerializer,
    FeedbackPartSerializer,
    FeedbackRowSerializer,
    RevisionSerializer,
    SubmissionSerializer,
)
from portal.exports.criteria import PARAMETERS, Criteria, InvalidCriterion
from portal.exports.formats import FORMATS
from portal.exports.queries import read_page, row_of, selected
from portal.exports.rows import FeedbackRow
from portal.exports.streaming import stream_export
from portal.exports.tables.feedback import FEEDBACK
from portal.feedback import answer_quality
from portal.feedback.models import PUBLISHABLE, Submission, Target
from portal.feedback.queries import own_submission
from portal.feedback.services import VersionConflict, revise_feedback, submit_feedback
from portal.feedback.terms import Terms, terms_after
from portal.feedback.withdrawing import withdraw_feedback
from portal.playground.access import get_generation
from portal.playground.models import Generation

API_RATE_NAME: Final = "api"
PAGE_PARAMETERS: Final = ("limit", "cursor", "fields", "expand")
# Any of them reads everybody's judgements.
READING: Final = (Scope.READ, Scope.EXPORT)


class ApiView(APIView):
    """What every endpoint shares: scopes, bounded JSON, negotiation, the API's rate and its headers."""

    # Method → scopes, any of which is enough.
    scopes: ClassVar[Mapping[str, tuple[Scope, ...]]] = {}
    permission_classes = [HasScope]
    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJSONParser]
    content_negotiation_class = FormatNegotiation
    http_method_names = ["get", "head", "post", "patch", "delete"]
    parameters: tuple[str, ...] = ("format",)

    def check_throttles(self, request: Request) -> None:
        check_rate(self.actor, API_RATE_NAME, settings.API_RATE)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._require_known_parameters(request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if getattr(getattr(request, "_user", None), "is_authenticated", False):
            room = read_headroom(self.actor, API_RATE_NAME, settings.API_RATE)
            # draft-ietf-httpapi-ratelimit-headers-10
            final["RateLimit-Policy"] = f'"{API_RATE_NAME}";q={room.limit};w={room.window_s}'
            final["RateLimit"] = f'"{API_RATE_NAME}";r={room.remaining};t={room.reset_s}'
        return final

    @property
    def actor(self) -> Actor:
        assert isinstance(self.request.user, User)
        token = self.request.auth if isinstance(self.request.auth, ApiToken) else None
        return Actor(user=self.request.user, network=request_network(self.request), api_token=token)

    def _require_known_parameters(self, request: Request) -> None:
        known = self.parameters if request.method in {HTTPMethod.GET, HTTPMethod.HEAD} else ("format",)
        for name, values in request.query_params.lists():
            if name not in known:
                raise InvalidCriterion(name[:80], _("There is no such parameter. There are: %s.") % ", ".join(known))
            if len(values) > 1:
                raise InvalidCriterion(name, _("Must be given once."))


class FeedbackList(ApiView):
    renderer_classes = [JSONRenderer, JsonLinesRenderer, CsvRenderer, ParquetRenderer]
    scopes = {
        HTTPMethod.GET: READING,
        HTTPMethod.HEAD: READING,
        HTTPMethod.POST: (Scope.SUBMIT,),
    }
    parameters = (*PARAMETERS, *PAGE_PARAMETERS, "format")

    def get_renderers(self) -> list[Any]:
        renderers: list[Any] = super().get_renderers()
        return renderers[:1] if self.request.method == HTTPMethod.POST else renderers

    @extend_schema(
        operation_id="feedback_list",
        summary="Read judgements",
        description=(
            "All judgements that were not withdrawn, oldest first. JSON comes in pages; following `next` to its end "
            "reads every row once, also while others arrive. JSON Lines, CSV and Parquet stream all that matches."
        ),
        parameters=schema.LIST_PARAMETERS,
        responses={
            (200, "application/json"): FeedbackPageSerializer,
            **schema.file_response("jsonl", "One judgement per line, as in `results`."),
            **schema.file_response("csv", "RFC 4180 with a header; see the documentation of the columns."),
            **schema.file_response("parquet", "Apache Parquet with the columns of the CSV, typed."),
            **schema.problems(400),
        },
        examples=[schema.PAGE_EXAMPLE],
        tags=["feedback"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        texts = {name: request.query_params[name] for name in request.query_params}
        criteria = Criteria.from_texts({name: text for name, text in texts.items() if name in PARAMETERS})
        form = FORMATS[str(request.accepted_renderer.format)]
        if form.name == "json":
            return self._page(request, criteria, texts)
        for name in PAGE_PARAMETERS:
            if name in texts:
                raise InvalidCriterion(name, _("Is for JSON pages; %s streams everything.") % form.name)
        return stream_export(request._request, FEEDBACK.name, FEEDBACK.plan(criteria), form)  # noqa: SLF001

    @extend_schema(
        operation_id="feedback_submit",
        summary="Give or change a judgement",
        description="One per person and run: a second one replaces the first. Withdrawn ones become live again.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=SubmissionSerializer,
        responses={
            201: FeedbackRowSerializer,
            200: FeedbackRowSerializer,
            **schema.problems(404, 409, 410, 413, 415, 422),
        },
        examples=[schema.SUBMIT_EXAMPLE, schema.ROW_EXAMPLE],
        tags=["feedback"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        done = do_once(request, self.actor, lambda: self._give(request))
        submission = get_object_or_404(Submission, self.actor.owns(), pk=done.made)
        location = reverse("api:feedback-detail", args=[submission.pk])
        return tagged(_row(submission), status=done.status, headers={"Location": location, **done.headers})

    def _give(self, request: Request) -> Done:
        body = SubmissionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        generation = get_generation(self.actor, given["generation"])
        terms = _terms(own_submission(self.actor, generation), given)
        submission = submit_feedback(self.actor, generation, given["answers"], given.get("version"), terms)
        return Done(201 if submission.newly_created else 200, str(submission.pk))

    def _page(self, request: Request, criteria: Criteria, texts: dict[str, str]) -> Response:
        fields = chosen_fields(texts.get("fields"), schema.FEEDBACK_FIELDS)
        expand = read_expand(texts.get("expand"), schema.FEEDBACK_EXPANDABLE)
        _require_own_runs(request, expand)
        limit = read_limit(texts.get("limit"))
        after = read_position(texts["cursor"]) if "cursor" in texts else None
        page = read_page(selected(criteria), after, limit)
        following = None
        if page.next is not None:
            following = next_address(request, page.next.encoded())
        rows = expanded(self.actor, page.rows, expand)
        return Response({"results": [only_fields(row, fields) for row in rows], "next": following})


class FeedbackDetail(ApiView):
    parameters = ("fields", "expand", "format")
    scopes = {
        HTTPMethod.GET: (*READING, Scope.SUBMIT),
        HTTPMethod.HEAD: (*READING, Scope.SUBMIT),
        HTTPMethod.PATCH: (Scope.SUBMIT,),
        HTTPMethod.DELETE: (Scope.SUBMIT,),
    }

    @extend_schema(
        operation_id="feedback_retrieve",
        summary="Read one judgement",
        description=(
            "The row that the list has. A token with the scope submit alone reads those of its owner. A withdrawn one "
            "is 410 for the person who gave it, 404 for others."
        ),
        parameters=[
            schema.fields_parameter(schema.FEEDBACK_FIELDS),
            schema.expand_parameter(schema.FEEDBACK_EXPANDABLE),
            schema.IF_NONE_MATCH,
        ],
        responses={200: FeedbackPartSerializer, **schema.NOT_MODIFIED, **schema.problems(404, 410)},
        examples=[schema.ROW_EXAMPLE],
        tags=["feedback"],
    )
    def get(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), schema.FEEDBACK_FIELDS)
        expand = read_expand(request.query_params.get("expand"), schema.FEEDBACK_EXPANDABLE)
        _require_own_runs(request, expand)
        readable = readable_by(request, self.actor)
        submission = Submission.objects.filter(readable, pk=submission_id, target=Target.GENERATION).first()
        if submission is None:
            raise Http404
        [row] = expanded(self.actor, [_row(submission)], expand)
        return tagged_unless_known(request, row, fields)

    @extend_schema(
        operation_id="feedback_revise",
        summary="Change one judgement of your own",
        parameters=[schema.IF_MATCH],
        request=RevisionSerializer,
        responses={200: FeedbackRowSerializer, **schema.problems(404, 409, 410, 412, 413, 415)},
        examples=[schema.REVISE_EXAMPLE, schema.ROW_EXAMPLE],
        tags=["feedback"],
    )
    def patch(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        submission = self._own_judged(submission_id)
        body = RevisionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        if not wants_unchanged(request):
            return tagged(_row(self._revise(submission, given, given.get("version"))))
        seen = _row(submission)
        require_match(request, seen)
        if given.get("version", seen["version"]) != seen["version"]:
            raise VersionConflict(given["version"], seen["version"])
        try:
            return tagged(_row(self._revise(submission, given, seen["version"])))
        except VersionConflict as conflict:
            # Changed by another request since this one compared the tags.
            raise precondition_failed(conflict.found) from conflict

    def _revise(self, submission: Submission, given: dict[str, Any], version: int | None) -> Submission:
        terms = _terms(submission, given)
        return revise_feedback(self.actor, _run(submission), given["answers"], version, terms)

    @extend_schema(
        operation_id="feedback_withdraw",
        summary="Withdraw one judgement of your own",
        description="Its answers are deleted; a tombstone without them remains.",
        responses={204: None, **schema.problems(404, 410)},
        tags=["feedback"],
    )
    def delete(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        withdraw_feedback(self.actor, _run(self._own_judged(submission_id)))
        return HttpResponse(status=204)

    def _own_judged(self, submission_id: uuid.UUID) -> Submission:
        """The actor's own live judgement of a run. Raises Http404 for other people's, Problem for a withdrawn one."""
        own = Submission.objects.filter(self.actor.owns(), pk=submission_id, questionnaire_slug=answer_quality.SLUG)
        submission = own.select_related("generation__conversation").first()
        if submission is None or submission.generation is None:
            raise Http404
        if submission.is_withdrawn:
            raise _withdrawn()
        return submission


def _require_own_runs(request: Request, expand: Collection[str]) -> None:
    """An expanded run is its giver's own; a token for exports reads judgements and nothing else."""
    if expand and not has_any_scope(request, Scope.READ, Scope.SUBMIT):
        raise Problem("insufficient-scope", _("expand needs the scope read or submit."))


def readable_by(request: Request, actor: Actor) -> Q:
    """Selects the submissions that the request may read: one's own, and what is published with a scope for that."""
    own = actor.owns()
    published = Q(withdrawn_at=None, consent__in=PUBLISHABLE)
    return own | published if has_any_scope(request, *READING) else own


def _run(submission: Submission) -> Generation:
    assert submission.generation is not None
    return submission.generation


def _terms(before: Submission | None, given: dict[str, Any]) -> Terms | None:
    return terms_after(before, given.get("consent", ""), given.get("licence", ""))


def _row(submission: Submission) -> FeedbackRow:
    row = row_of(submission)
    if row is None:
        # Withdrawn by another request since this one stored it.
        raise _withdrawn()
    return row


def _withdrawn() -> Problem:
    return Problem("withdrawn", _("This judgement was withdrawn. Judging the run again makes it live again."))
