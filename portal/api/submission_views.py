"""`/api/v1/submissions/`: what people say about answers, comparisons and cards and in campaigns, read and given."""

from __future__ import annotations

import uuid
from functools import cache
from http import HTTPMethod, HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import READING, ApiView
from portal.api.asked_submission import (
    Asked,
    datum_json,
    found_in,
    give,
    read_asked,
    redacted,
    without_personal_data,
)
from portal.api.conditions import require_match, unchanged
from portal.api.expansion import expanded, read_expand
from portal.api.feedback_views import readable_by, require_own_runs
from portal.api.idempotency import Done, do_once, do_prepared_once
from portal.api.operation import operation
from portal.api.paging import next_address, read_limit, read_position
from portal.api.problems import Problem
from portal.api.row_answers import done_headers, list_answer, page_of, part_of, row_answer
from portal.api.submission_rows import (
    CHANGE_EXAMPLE,
    CHECK_EXAMPLE,
    GIVE_EXAMPLES,
    MEMBERS,
    PAGE_EXAMPLE,
    ROW_EXAMPLE,
    ChangeSubmissionSerializer,
    CheckedSubmissionSerializer,
    GiveSubmissionSerializer,
    ShownSubmissionSerializer,
    SubmissionRowSerializer,
    submission_json,
)
from portal.exports.criteria import PARAMETERS, Criteria
from portal.exports.queries import read_record_page, selected
from portal.exports.tables.submissions import submission_row
from portal.feedback.answer_rules import validate_answers
from portal.feedback.models import Submission, Target
from portal.feedback.revising import asked_now, judged_by, revise_submission
from portal.feedback.services import Giving, VersionConflict, require_judgeable
from portal.feedback.terms import terms_after
from portal.feedback.withdrawing import withdraw_submission
from portal.playground.models import Generation

_OWN_PATH: Final = [schema.in_path("submission_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))]
_JUDGED: Final = (
    "generation__conversation", "generation__branched_from", "comparison__contest", "card", "campaign__questionnaire",
)  # fmt: skip


class SubmissionList(ApiView):
    scopes = {HTTPMethod.GET: READING, HTTPMethod.HEAD: READING, HTTPMethod.POST: (Scope.SUBMIT,)}

    @operation(
        operation_id="submissions_list",
        summary="Read what people said about anything",
        description=(
            "All that was not withdrawn and may be published, about answers, comparisons and cards and in "
            "campaigns, oldest "
            "first. /api/v1/exports/submissions/ streams the same rows."
        ),
        parameters=[
            schema.query(
                "target",
                {"type": "string", "enum": list(Target.values)},
                gettext_lazy("Only about things of this kind."),
            ),
            *(each for each in schema.LIST_PARAMETERS if each.name in PARAMETERS),
            schema.fields_parameter(MEMBERS),
            schema.expand_parameter(schema.FEEDBACK_EXPANDABLE),
            *schema.PAGE_PARAMETERS,
        ],
        responses={200: page_of(ShownSubmissionSerializer), **schema.problems()},
        examples=[PAGE_EXAMPLE],
        tags=["submissions"],
    )
    def get(self, request: Request) -> Response:
        texts = {name: request.query_params[name] for name in request.query_params}
        criteria = Criteria.from_texts({name: text for name, text in texts.items() if name in PARAMETERS})
        expand = read_expand(texts.get("expand"))
        require_own_runs(request, expand)
        target = texts.get("target")
        after = read_position(texts["cursor"]) if "cursor" in texts else None
        targets = Target if target is None else (Target(target),)
        records, following = read_record_page(selected(criteria, targets), after, read_limit(texts.get("limit")))
        salt = settings.EXPORT_SALT.encode()
        address = None if following is None else next_address(request, following.encoded())
        rows = [dict(submission_row(record, salt)) for record in records]
        return list_answer(request, expanded(self.actor, rows, expand), address, MEMBERS)

    @operation(
        operation_id="submissions_give",
        summary="Say something about an answer, a comparison or a card, or in a campaign",
        description=(
            "By the questions that the pages ask: corrections, marks on words and better tokens are answers to "
            "answer-quality; which version of an answer is better is token-choice. There is one per person, thing and "
            "questionnaire: a second one replaces the first (200). About a card, and in some campaigns, there are "
            "several."
        ),
        parameters=[schema.IDEMPOTENCY_KEY],
        request=GiveSubmissionSerializer,
        responses={
            201: SubmissionRowSerializer,
            200: SubmissionRowSerializer,
            **schema.problems(404, 409, 410, 413, 415, 422),
        },
        examples=[*GIVE_EXAMPLES, ROW_EXAMPLE],
        tags=["submissions"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        done = do_once(request, self.actor, lambda: self._give(request))
        submission = get_object_or_404(Submission, self.actor.owns(), pk=done.made)
        headers = done_headers(done, reverse("api:submission-detail", args=[submission.pk]))
        return row_answer(request, _row(submission), MEMBERS, status=done.status, headers=headers)

    def _give(self, request: Request) -> Done:
        given = _read(request, GiveSubmissionSerializer)
        asked = read_asked(self.actor, given)
        submission = give(self.actor, asked, {**given, "answers": without_personal_data(asked, given)})
        return Done(201 if submission.newly_created else 200, str(submission.pk))


class SubmissionCheck(ApiView):
    scopes = {HTTPMethod.POST: (Scope.SUBMIT,)}

    @operation(
        operation_id="submissions_check",
        summary="Check what would be said, and store nothing",
        description=(
            "Whether the answers would be taken, and what in them looks like personal data, as the pages show it "
            "before "
            "they send. Finding nothing proves nothing."
        ),
        parameters=[schema.IDEMPOTENCY_KEY],
        request=GiveSubmissionSerializer,
        responses={200: CheckedSubmissionSerializer, **schema.problems(404, 409, 413, 415, 422)},
        examples=[*GIVE_EXAMPLES, CHECK_EXAMPLE],
        tags=["submissions"],
    )
    def post(self, request: Request) -> Response:
        @cache
        def checked() -> dict[str, Any]:
            return self._checked(request)

        # Nothing was stored: the same request sent again is checked again.
        done = do_prepared_once(request, self.actor, checked, lambda _result: Done(HTTPStatus.OK, ""))
        return Response(checked(), headers={"Cache-Control": "no-store", **done.headers})

    def _checked(self, request: Request) -> dict[str, Any]:
        given = _read(request, GiveSubmissionSerializer)
        asked = read_asked(self.actor, given)
        if isinstance(asked.target, Generation):
            require_judgeable(asked.target)
        terms_after(None, given.get("consent", ""), given.get("licence", ""))
        questions = list(asked.questionnaire.questions.all())
        judged = Giving(self.actor, asked.target, asked.questionnaire).judged_text(questions)
        found = found_in(asked, given["answers"])
        kept, without = (
            {question.key: value for question, value in validate_answers(questions, answers, judged)}
            for answers in (given["answers"], redacted(found, given["answers"]))
        )
        return {
            "questionnaire": asked.questionnaire.slug,
            "questionnaire_version": asked.questionnaire.version,
            "answers": kept,
            "redacted": without,
            "personal_data": [datum_json(datum) for datum in found],
        }


class SubmissionDetail(ApiView):
    scopes = {
        HTTPMethod.GET: (*READING, Scope.SUBMIT),
        HTTPMethod.HEAD: (*READING, Scope.SUBMIT),
        HTTPMethod.PATCH: (Scope.SUBMIT,),
        HTTPMethod.DELETE: (Scope.SUBMIT,),
    }

    @operation(
        operation_id="submissions_retrieve",
        summary="Read one submission",
        description=(
            "A token with the scope submit alone reads those of its owner. A withdrawn one is 410 for the person "
            "who gave "
            "it, 404 for others."
        ),
        parameters=[
            *_OWN_PATH,
            schema.fields_parameter(MEMBERS),
            schema.expand_parameter(schema.FEEDBACK_EXPANDABLE),
        ],
        responses={200: part_of(ShownSubmissionSerializer), **schema.problems(404, 410)},
        examples=[ROW_EXAMPLE],
        tags=["submissions"],
    )
    def get(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        expand = read_expand(request.query_params.get("expand"))
        require_own_runs(request, expand)
        submission = Submission.objects.filter(readable_by(request, self.actor), pk=submission_id).first()
        if submission is None:
            raise Http404
        row = _row(submission)
        [shown] = expanded(self.actor, [row], expand)
        return row_answer(request, row, MEMBERS, shown=shown)

    @operation(
        operation_id="submissions_revise",
        summary="Change a submission of your own",
        description=(
            "Until reviewers gave a verdict, or when they ask for more. What may be said several times is not changed."
        ),
        parameters=[*_OWN_PATH, schema.IF_MATCH],
        request=ChangeSubmissionSerializer,
        responses={200: SubmissionRowSerializer, **schema.problems(404, 409, 410, 412, 413, 415, 422)},
        examples=[CHANGE_EXAMPLE, ROW_EXAMPLE],
        tags=["submissions"],
    )
    def patch(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        submission = self._own(submission_id)
        given = _read(request, ChangeSubmissionSerializer)
        seen = _row(submission)
        require_match(request, seen)
        version: int = given.get("version", seen["version"])
        if version != seen["version"]:
            raise VersionConflict(version, seen["version"])
        asked = Asked(judged_by(submission), asked_now(submission))
        terms = terms_after(submission, given.get("consent", ""), given.get("licence", ""))
        changes = without_personal_data(asked, given)
        with unchanged(request, seen):
            changed = revise_submission(self.actor, submission, changes, version, terms)
        return row_answer(request, _row(changed), MEMBERS)

    @operation(
        operation_id="submissions_withdraw",
        summary="Withdraw a submission of your own",
        description="Reviewed or not. Its answers are deleted; a tombstone without them remains.",
        parameters=[*_OWN_PATH, schema.IF_MATCH],
        responses={204: None, **schema.problems(404, 410, 412)},
        tags=["submissions"],
    )
    def delete(self, request: Request, submission_id: uuid.UUID) -> HttpResponseBase:
        submission = self._own(submission_id)
        with unchanged(request, _row(submission)) as version:
            withdraw_submission(self.actor, submission.pk, version)
        return HttpResponse(status=204)

    def _own(self, submission_id: uuid.UUID) -> Submission:
        """The actor's own live one with what it judges. Raises Http404, and Problem for a withdrawn one."""
        own = Submission.objects.filter(self.actor.owns(), pk=submission_id).select_related(*_JUDGED)
        submission = own.first()
        if submission is None:
            raise Http404
        if submission.is_withdrawn:
            raise _withdrawn()
        return submission


def _read(request: Request, form: type[Any]) -> dict[str, Any]:
    body = form(data=request.data)
    body.is_valid(raise_exception=True)
    given: dict[str, Any] = body.validated_data
    return given


def _row(submission: Submission) -> dict[str, Any]:
    row = submission_json(submission)
    if row is None:
        raise _withdrawn()
    return row


def _withdrawn() -> Problem:
    return Problem(
        "withdrawn", _("This was withdrawn. Saying something about the same thing again makes it live again.")
    )
