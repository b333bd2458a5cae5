"""Bodies that the API takes, and the form of what it gives, as the OpenAPI document shows them."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from portal.api.references import GenerationReference
from portal.feedback.answer_quality import QUESTIONS
from portal.feedback.models import Consent, QuestionKind, ReviewState

MAX_VERSION: Final = 2**31 - 1


def _question_schema(question: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    options = question["options"]
    keys = [choice["key"] for choice in options.get("choices", ())]
    null = ["null"] if nullable else []
    match question["kind"]:
        case QuestionKind.RATING:
            schema = {"type": ["integer", *null], "minimum": options["min"], "maximum": options["max"]}
        case QuestionKind.CHOICES:
            items = {"type": "string", "enum": keys}
            schema = {"type": ["array", *null], "items": items, "uniqueItems": True}
        case QuestionKind.TEXT:
            schema = {"type": ["string", *null], "maxLength": options["max_characters"]}
        case _:
            schema = {"type": ["string", *null], "enum": [*keys, *([None] if nullable else [])]}
    return {**schema, "description": question["label"]}


def _answers_schema(*, is_input: bool) -> dict[str, Any]:
    """The answer-quality questionnaire as it ships; an installation may have made later versions of it."""
    properties = {question["key"]: _question_schema(question, nullable=is_input) for question in QUESTIONS}
    return {"type": "object", "properties": properties, "additionalProperties": not is_input}


class StrictUuidField(serializers.UUIDField):
    """A UUID as text; DRF's also takes whole numbers."""

    def to_internal_value(self, data: Any) -> uuid.UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        value: uuid.UUID = super().to_internal_value(data)
        return value


class StrictIntegerField(serializers.IntegerField):
    """A JSON number without fraction; DRF's also takes texts and booleans."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        value: int = super().to_internal_value(data)
        return value


@extend_schema_field(_answers_schema(is_input=True))
class AnswersField(serializers.Field):  # type: ignore[type-arg]
    """Question key → value. The questionnaire's own rules check what is in it."""

    default_error_messages = {"invalid": _("Must be an object of question key to value.")}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return dict(data)

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses members that it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := [key for key in data if key not in self.fields]):
            names = ", ".join(self.fields)
            message = _("There is no such member. There are: %(names)s.") % {"names": names}
            raise serializers.ValidationError({key[:80]: [message] for key in unknown[:20]})
        return super().to_internal_value(data)


class StrictTextField(serializers.CharField):
    """A JSON string; DRF's also takes numbers."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        value: str = super().to_internal_value(data)
        return value


class StrictPatternField(serializers.RegexField):
    """A JSON string of a form; DRF's also takes numbers."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        value: str = super().to_internal_value(data)
        return value


@extend_schema_field({"type": "string", "enum": Consent.values})
class ConsentField(StrictTextField):
    """How far a judgement may go."""


class TermsSerializer(StrictSerializer):
    """Under which terms a judgement is given. A member left out stays what it was, or is the usual one."""

    consent = ConsentField(
        required=False,
        max_length=60,
        help_text=_("How far it may go: to reviewers alone, published (the usual), or quoted as well."),
    )
    licence = StrictTextField(
        required=False,
        max_length=60,
        help_text=_("One of this installation's licences, by its SPDX identifier; the first of them is the usual."),
    )


class SubmissionSerializer(TermsSerializer):
    """A judgement to give: the whole of it, which replaces an earlier one on the same run."""

    generation = StrictUuidField(help_text=_("The run whose answer is judged; one of your own."))
    answers = AnswersField()
    version = StrictIntegerField(
        required=False,
        min_value=0,
        max_value=MAX_VERSION,
        help_text=_("The version that you change, 0 for a first judgement; another one found is a conflict (409)."),
    )


class RevisionSerializer(TermsSerializer):
    """A change: what is not named stays, null takes an answer away."""

    answers = AnswersField()
    version = StrictIntegerField(
        required=False,
        min_value=0,
        max_value=MAX_VERSION,
        help_text=_("The version that you change; another one found is a conflict (409)."),
    )


@extend_schema_field(_answers_schema(is_input=False))
class GivenAnswersField(serializers.JSONField):
    """Question key → value, only what was answered."""


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class DigestsField(serializers.JSONField):
    """File name → SHA-256."""


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.JSONField):
    """Any JSON object."""


class FeedbackRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """`portal.exports.rows.FeedbackRow`, for the OpenAPI document; a test holds the two together."""

    id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    version = serializers.IntegerField(min_value=1, help_text=_("Rises with every change."))
    contributor = serializers.CharField(
        allow_null=True,
        help_text=_("A pseudonym, the same for all judgements of one person; null when the account is gone."),
    )
    questionnaire = serializers.CharField()
    questionnaire_version = serializers.IntegerField(min_value=1)
    answers = GivenAnswersField()
    consent = serializers.CharField(help_text=_("publish, or quote: published, and quoted in words."))
    licence = serializers.CharField(allow_blank=True, help_text=_("The licence that the contributor chose."))
    language = serializers.CharField(allow_blank=True, help_text=_("ISO 639-1 of what was written."))
    review_state = serializers.ChoiceField(choices=ReviewState.values)
    generation = serializers.UUIDField(help_text=_("The run that was judged."))
    card = serializers.CharField(allow_null=True, help_text=_("owner/name"))
    variant = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True, help_text=_("owner/name:variant"))
    turn = serializers.IntegerField(
        help_text=_("1 for the first prompt of a conversation; earlier turns are not shared.")
    )
    prompt = serializers.CharField(allow_blank=True)
    output = serializers.CharField(allow_blank=True, help_text=_("The answer that was judged."))
    finish_reason = serializers.CharField(allow_blank=True)
    params = ObjectField(help_text=_("Sampling parameters."))
    seed = serializers.IntegerField(allow_null=True)
    weights_sha256 = DigestsField(help_text=_("File name → SHA-256 of the weights that ran."))
    provenance = ObjectField(help_text=_("What else is needed to repeat the run."))


class PartSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Put before a row's serializer: the row, or the members of it that `fields` names."""

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for field in fields.values():
            field.required = False
        return fields


class FeedbackPartSerializer(PartSerializer, FeedbackRowSerializer):
    """A judgement, or the members of it that `fields` names."""

    generation = GenerationReference(help_text=_("The run that was judged."))  # type: ignore[assignment]


class FeedbackPageSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One page of judgements, oldest first."""

    results = FeedbackPartSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text=_("The next page; null at the end."))


class FieldErrorSerializer(serializers.Serializer):  # type: ignore[type-arg]
    detail = serializers.CharField()
    pointer = serializers.CharField(required=False, allow_blank=True, help_text=_("Where in the body, RFC 6901."))
    parameter = serializers.CharField(required=False, help_text=_("Which parameter of the address."))


class PositionSerializer(serializers.Serializer):  # type: ignore[type-arg]
    offset = serializers.IntegerField()
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)


class ProblemSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A problem document, RFC 9457."""

    type = serializers.CharField(help_text=_("Which problem it is; a reference to its description."))
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(allow_blank=True)
    instance = serializers.CharField()
    request_id = serializers.CharField(help_text=_("Quote this when you ask for help."))
    # Named as RFC 9457 names it, although a serializer has errors of its own; this one only describes.
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]
    position = PositionSerializer(required=False, help_text=_("Where the JSON is broken."))
    version = serializers.IntegerField(required=False, help_text=_("The version found, in a version conflict."))
    limit = serializers.CharField(required=False, help_text=_("Which limit was reached."))
