"""`/api/v1/me/contributions/`: what you gave, and what became of it."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any, Final

from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.operation import operation
from portal.api.paging import read_created_page
from portal.api.row_answers import list_answer, members_of, page_of
from portal.api.serializers import ObjectField
from portal.exports.rows import iso_utc
from portal.feedback.contribution_notes import ContributionNote, contribution_notes
from portal.feedback.models import ReviewState, Submission, Target
from portal.feedback.queries import told_contributions

_OWN: Final = (Scope.READ, Scope.SUBMIT)


class NoteSerializer(serializers.Serializer):  # type: ignore[type-arg]
    text = serializers.CharField()
    page = serializers.CharField(allow_blank=True, help_text=gettext_lazy("Where to read more."))


class ContributionSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Something you gave. Of what you withdrew only that it was there remains."""

    id = serializers.UUIDField()
    target = serializers.ChoiceField(choices=Target.values)
    generation = serializers.UUIDField(allow_null=True)
    comparison = serializers.UUIDField(allow_null=True)
    card = serializers.CharField(allow_null=True)
    campaign = serializers.CharField(allow_null=True)
    questionnaire = serializers.CharField()
    questionnaire_version = serializers.IntegerField()
    answers = ObjectField()
    consent = serializers.CharField()
    licence = serializers.CharField(allow_blank=True)
    language = serializers.CharField(allow_blank=True)
    version = serializers.IntegerField()
    review_state = serializers.ChoiceField(choices=ReviewState.values)
    review_reason = serializers.CharField(
        allow_blank=True, help_text=gettext_lazy("What reviewers say to you; their question, where they have one.")
    )
    may_be_changed = serializers.BooleanField()
    notes = NoteSerializer(many=True, help_text=gettext_lazy("What became of it: a limitation, a snapshot."))
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True)


MEMBERS: Final = members_of(ContributionSerializer)
_EXAMPLE: Final = {
    "id": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
    "target": "generation",
    "generation": "0d4f7f0c-7a55-4d0e-8f1a-93a5b2b4b8e2",
    "comparison": None,
    "card": "owner/name",
    "campaign": None,
    "questionnaire": "answer-quality",
    "questionnaire_version": 1,
    "answers": {"thumb": "down"},
    "consent": "publish",
    "licence": "CC-BY-4.0",
    "language": "en",
    "version": 1,
    "review_state": "accepted",
    "review_reason": "",
    "may_be_changed": False,
    "notes": [{"text": "Part of the known limitation “A ship”: Confirmed.", "page": "/limitations/…/"}],
    "created_at": "2026-05-01T12:00:00.000000Z",
    "changed_at": "2026-05-01T12:00:00.000000Z",
    "withdrawn_at": None,
}


class ContributionList(ApiView):
    scopes = {HTTPMethod.GET: _OWN, HTTPMethod.HEAD: _OWN}

    @operation(
        operation_id="contributions_list",
        summary="What you gave, and what became of it",
        description="All of it, withdrawn or not, in the order in which it was given.",
        parameters=[
            schema.query(
                "review_state",
                {"type": "string", "enum": ReviewState.values},
                gettext_lazy("Only in this state of review."),
            ),
            schema.query("target", {"type": "string", "enum": Target.values}, gettext_lazy("Only about such things.")),
            schema.fields_parameter(MEMBERS),
            *schema.PAGE_PARAMETERS,
        ],
        responses={200: page_of(ContributionSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [_EXAMPLE], "next": None}, response_only=True)],
        tags=["me"],
    )
    def get(self, request: Request) -> Response:
        own = told_contributions(self.actor)
        asked = request.query_params
        own = own.filter(**{name: asked[name] for name in ("review_state", "target") if name in asked})
        page, following = read_created_page(request, own)
        notes = contribution_notes([submission.pk for submission in page])
        rows = [contribution_row(submission, notes.get(submission.pk, [])) for submission in page]
        response = list_answer(request, rows, following, MEMBERS)
        response["Cache-Control"] = "no-store"
        return response


def contribution_row(submission: Submission, notes: list[ContributionNote]) -> dict[str, Any]:
    """A submission as its contributor may know of it."""
    card, campaign, withdrawn_at = submission.card, submission.campaign, submission.withdrawn_at
    return {
        "id": str(submission.pk),
        "target": submission.target,
        "generation": _id(submission.generation_id),
        "comparison": _id(submission.comparison_id),
        "card": card.name if card is not None else None,
        "campaign": campaign.slug if campaign is not None else None,
        "questionnaire": submission.questionnaire.slug,
        "questionnaire_version": submission.questionnaire.version,
        "answers": submission.values(),
        "consent": submission.consent,
        "licence": submission.licence,
        "language": submission.language,
        "version": submission.version,
        "review_state": submission.review_state,
        "review_reason": submission.review_reason,
        "may_be_changed": submission.may_be_changed and submission.is_only and withdrawn_at is None,
        "notes": [{"text": str(note.text), "page": note.url} for note in notes],
        "created_at": iso_utc(submission.created_at),
        "changed_at": iso_utc(submission.changed_at),
        "withdrawn_at": iso_utc(withdrawn_at) if withdrawn_at is not None else None,
    }


def _id(key: object) -> str | None:
    return None if key is None else str(key)
