"""Submissions about anything, as the API takes and tells them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from portal.api import schema
from portal.api.references import HiddenGenerationReference
from portal.api.row_answers import members_of
from portal.api.serializers import (
    MAX_VERSION,
    AnswersField,
    DigestsField,
    ObjectField,
    StrictIntegerField,
    StrictPatternField,
    StrictTextField,
    StrictUuidField,
    TermsSerializer,
)
from portal.exports.queries import read_record_page
from portal.exports.tables.submissions import submission_row
from portal.feedback.models import ReviewState, Submission, Target
from portal.feedback.personal_data import KIND_NAMES

REFUSE: Final = "refuse"
KEEP: Final = "keep"
REDACT: Final = "redact"
PERSONAL_DATA_CHOICES: Final = (REFUSE, KEEP, REDACT)
SLUG: Final = "^[A-Za-z0-9_-]{1,80}$"


@extend_schema_field({"type": "object", "additionalProperties": True})
class AnyAnswersField(AnswersField):
    """Question key → value, to any questionnaire."""


@extend_schema_field({"type": "string", "enum": list(PERSONAL_DATA_CHOICES)})
class PersonalDataField(StrictTextField):
    """What becomes of what looks like personal data."""

    default_error_messages = {"unknown": _("Must be one of: refuse, keep, redact.")}

    def to_internal_value(self, data: Any) -> str:
        value: str = super().to_internal_value(data)
        if value not in PERSONAL_DATA_CHOICES:
            self.fail("unknown")
        return value


class GivenSerializer(TermsSerializer):
    answers = AnyAnswersField(help_text=_("Question key → value."))
    version = StrictIntegerField(
        required=False,
        min_value=0,
        max_value=MAX_VERSION,
        help_text=_("The version that you change, 0 for a first one; another one found is a conflict (409)."),
    )
    personal_data = PersonalDataField(
        required=False,
        help_text=_(
            "What becomes of what looks like personal data: refuse (the usual: 422, and nothing is stored), keep (its "
            "writer has seen it), or redact (it is replaced by what kind of thing it was)."
        ),
    )


class GiveSubmissionSerializer(GivenSerializer):
    """Something said about a run of your own, a comparison of your own, a card, or in a campaign: one of the four."""

    generation = StrictUuidField(required=False, help_text=_("The run whose answer it is about; one of your own."))
    comparison = StrictUuidField(required=False, help_text=_("The comparison; one of your own, after its vote."))
    card = StrictPatternField(
        schema.CARD_NAME["pattern"], required=False, max_length=200, help_text=_("The card, owner/name.")
    )
    campaign = StrictPatternField(SLUG, required=False, help_text=_("The campaign's name."))
    questionnaire = StrictPatternField(
        SLUG,
        required=False,
        help_text=_(
            "Which questionnaire is answered. Left out: answer-quality about a run, and the campaign's own in a "
            "campaign."
        ),
    )
    language = StrictTextField(
        required=False,
        max_length=12,
        help_text=_("In a campaign: the language that the questions were shown in, of those that it has."),
    )


class ChangeSubmissionSerializer(GivenSerializer):
    """A change: what is not named stays, null takes an answer away."""


class PersonalDatumSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Something that looks like personal data: characters `start` to `end` of the text at `pointer`."""

    pointer = serializers.CharField(help_text=_("Where in the body, RFC 6901."))
    kind = serializers.ChoiceField(choices=list(KIND_NAMES))
    start = serializers.IntegerField(help_text=_("In code points."))
    end = serializers.IntegerField()
    text = serializers.CharField()
    replacement = serializers.CharField(help_text=_("What redact puts there."))


class CheckedSubmissionSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """What giving this would store; nothing was stored."""

    questionnaire = serializers.CharField()
    questionnaire_version = serializers.IntegerField()
    answers = ObjectField(help_text=_("As they would be stored with personal_data=keep."))
    redacted = ObjectField(help_text=_("As they would be stored with personal_data=redact."))
    personal_data = PersonalDatumSerializer(many=True)


class SubmissionRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The export `submissions` has the same rows (`portal.exports.tables.submissions`)."""

    id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    version = serializers.IntegerField(min_value=1, help_text=_("Rises with every change."))
    contributor = serializers.CharField(
        allow_null=True, help_text=_("A pseudonym, the same for all of one person; null when the account is gone.")
    )
    questionnaire = serializers.CharField()
    questionnaire_version = serializers.IntegerField(min_value=1)
    answers = ObjectField(help_text=_("Question key → value, only what was answered."))
    consent = serializers.CharField()
    licence = serializers.CharField(allow_blank=True)
    language = serializers.CharField(allow_blank=True)
    review_state = serializers.ChoiceField(choices=ReviewState.values)
    target = serializers.ChoiceField(choices=Target.values)
    card = serializers.CharField(allow_null=True, help_text=_("owner/name"))
    model = serializers.CharField(allow_null=True, help_text=_("owner/name:variant"))
    campaign = serializers.CharField(allow_null=True)
    comparison = serializers.UUIDField(allow_null=True)
    generation = serializers.UUIDField(allow_null=True)
    turn = serializers.IntegerField(allow_null=True)
    prompt = serializers.CharField(allow_null=True, allow_blank=True)
    output = serializers.CharField(allow_null=True, allow_blank=True)
    finish_reason = serializers.CharField(allow_null=True, allow_blank=True)
    params = ObjectField(allow_null=True)
    weights_sha256 = DigestsField(allow_null=True)


class ShownSubmissionSerializer(SubmissionRowSerializer):
    """A submission; with `expand` its run in the place of the run's id."""

    generation = HiddenGenerationReference()  # type: ignore[assignment]


MEMBERS: Final = members_of(SubmissionRowSerializer)
EXAMPLE_ANSWERS: Final = {"kind": "dangerous-advice", "severity": 3, "what": "It tells how to mix bleach and acid."}
EXAMPLE: Final = {
    **{name: schema.EXAMPLE_ROW.get(name) for name in MEMBERS},
    "questionnaire": "harm-report",
    "answers": EXAMPLE_ANSWERS,
    "target": "generation",
    "campaign": None,
    "comparison": None,
}
ROW_EXAMPLE: Final = OpenApiExample("A submission", value=EXAMPLE, response_only=True)
PAGE_EXAMPLE: Final = OpenApiExample("A page", value={"results": [EXAMPLE], "next": None}, response_only=True)
GIVE_EXAMPLES: Final = [
    OpenApiExample(
        "About an answer",
        value={
            "generation": EXAMPLE["generation"],
            "questionnaire": "harm-report",
            "answers": EXAMPLE_ANSWERS,
            "consent": "publish",
            "licence": "CC-BY-4.0",
        },
        request_only=True,
    ),
    OpenApiExample(
        "A correction and a mark",
        value={
            "generation": EXAMPLE["generation"],
            "answers": {
                "thumb": "down",
                "correction": "A balance with two arms of unequal length.",
                "spans": [{"quote": "A kind of ship", "label": "factual-error", "note": "It is a balance."}],
            },
        },
        request_only=True,
    ),
    OpenApiExample(
        "In a campaign",
        value={"campaign": "first-impressions", "answers": {"use": "daily"}, "consent": "quote", "language": "en"},
        request_only=True,
    ),
]
CHANGE_EXAMPLE: Final = OpenApiExample("A change", value={"answers": {"severity": 4}, "version": 2}, request_only=True)
CHECK_EXAMPLE: Final = OpenApiExample(
    "What was found",
    value={
        "questionnaire": "answer-quality",
        "questionnaire_version": 1,
        "answers": {"thumb": "down", "comment": "Ask ada@example.org."},
        "redacted": {"thumb": "down", "comment": "Ask [email]."},
        "personal_data": [
            {
                "pointer": "/answers/comment",
                "kind": "email",
                "start": 4,
                "end": 19,
                "text": "ada@example.org",
                "replacement": "[email]",
            }
        ],
    },
    response_only=True,
)


def submission_json(submission: Submission) -> dict[str, Any] | None:
    """The row of one submission; None when it is withdrawn."""
    live = Submission.objects.filter(pk=submission.pk, withdrawn_at=None)
    records, _following = read_record_page(live, None, 1)
    return submission_row(records[0], settings.EXPORT_SALT.encode()) if records else None
