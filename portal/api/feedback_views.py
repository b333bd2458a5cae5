"""`/api/v1/feedback/`: judgements read by anybody with a token, given and changed by the person whose run it was."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from http import HTTPMethod
from typing import Any, Final

from django.db.models import Q
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.actors import Actor
from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import READING, ApiView
from portal.api.conditions import require_match, tagged, tagged_unless_known, unchanged
from portal.api.expansion import expanded, read_expand
from portal.api.field_choice import chosen_fields, only_fields
from portal.api.idempotency import Done, do_once
from portal.api.negotiation import CsvRenderer, JsonLinesRenderer, ParquetRenderer
from portal.api.operation import operation
from portal.api.paging import next_address, read_limit, read_position
from portal.api.permissions import has_any_scope
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
from portal.feedback.withdrawing import withdraw_submission
from portal.playground.access import get_generation
from portal.playground.models import Generation

PAGE_PARAMETERS: Final = ("limit", "cursor", "fields", "expand")


class FeedbackList(ApiView):
    renderer_classes = [JSONRenderer, JsonLinesRenderer, CsvRenderer, ParquetRenderer]
    scopes = {
        HTTPMethod.GET: READING,
        HTTPMethod.HEAD: READING,
        HTTPMethod.POST: (Scope.SUBMIT,),
    }

    def get_renderers(self) -> list[Any]:
        renderers: list[Any] = super().get_renderers()
        return renderers[:1] if self.request.method == HTTPMethod.POST else renderers

    @operation(
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

    @operation(
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
        expand = read_expand(texts.get("expand"))
        require_own_runs(request, expand)
        limit = read_limit(texts.get("limit"))
        after = read_position(texts["cursor"]) if "cursor" in texts else None
        page = read_page(selected(criteria), after, limit)
        following = None
        if page.next is not None:
            following = next_address(request, page.next.encoded())
        rows = expanded(self.actor, page.rows, expand)
        return Response({"results": [only_fields(row, fields) for row in rows], "next": following})


class FeedbackDetail(ApiView):
    scopes = {
        HTTPMethod.GET: (*READING, Scope.SUBMIT),
        HTTPMethod.HEAD: (*READING, Scope.SUBMIT),
        HTTPMethod.PATCH: (Scope.SUBMIT,),
        HTTPMethod.DELETE: (Scope.SUBMIT,),
    }

    @operation(
        operation_id="feedback_retrieve",
        summary="Read one judgement",
        description=(
            "The row that the list has. A token with the scope submit alone reads those of its owner. A withdrawn one "
            "is 410 for the person who gave it, 404 for others."
        ),
        parameters=[
            schema.fields_parameter(schema.FEEDBACK_FIELDS),
            schema.expand_parameter(schema.FEEDBACK_EXPANDABLE),
        ],
        responses={200: FeedbackPartSerializer, **schema.problems(404, 410)},
        examples=[schema.ROW_EXAMPLE],
        tags=["feedback"],
    )
    def get(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), schema.FEEDBACK_FIELDS)
        expand = read_expand(request.query_params.get("expand"))
        require_own_runs(request, expand)
        readable = readable_by(request, self.actor)
        submission = Submission.objects.filter(readable, pk=submission_id, target=Target.GENERATION).first()
        if submission is None:
            raise Http404
        row = _row(submission)
        [shown] = expanded(self.actor, [row], expand)
        return tagged_unless_known(request, row, fields, shown=shown)

    @operation(
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
        seen = _row(submission)
        require_match(request, seen)
        wanted = given.get("version")
        if wanted not in {None, seen["version"]}:
            raise VersionConflict(wanted, seen["version"])
        with unchanged(request, seen) as version:
            terms = _terms(submission, given)
            changed = revise_feedback(self.actor, _run(submission), given["answers"], version or wanted, terms)
        return tagged(_row(changed))

    @operation(
        operation_id="feedback_withdraw",
        summary="Withdraw one judgement of your own",
        description="Its answers are deleted; a tombstone without them remains.",
        parameters=[schema.IF_MATCH],
        responses={204: None, **schema.problems(404, 410, 412)},
        tags=["feedback"],
    )
    def delete(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        submission = self._own_judged(submission_id)
        with unchanged(request, _row(submission)) as version:
            withdraw_submission(self.actor, submission.pk, version)
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


def require_own_runs(request: Request, expand: Collection[str]) -> None:
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
