"""Questionnaires as the API tells and takes them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from portal.api.row_answers import members_of
from portal.api.serializers import ObjectField, StrictPatternField, StrictSerializer, StrictTextField
from portal.exports.rows import iso_utc
from portal.feedback.models import Question, QuestionKind, Questionnaire
from portal.feedback.wording import LANGUAGE_NAMES

SLUG: Final = "^[a-zA-Z0-9_-]+$"
_OPTIONS: Final = _("What its kind needs: choices, rows, columns, min, max, anchors and others, as they are read.")


class StrictBooleanField(serializers.BooleanField):
    """true or false; DRF's also takes texts and numbers."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictChoiceField(serializers.ChoiceField):
    """One of several texts; DRF's also takes numbers."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", input=data)
        return data


@extend_schema_field({"type": "object", "additionalProperties": True})
class StrictObjectField(serializers.Field):  # type: ignore[type-arg]
    """A JSON object; what is in it is checked elsewhere."""

    default_error_messages = {"invalid": _("Must be an object.")}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


@extend_schema_field(
    {
        "type": "object",
        "properties": {"key": {"type": "string"}, "equals": {"type": ["string", "integer"]}},
        "required": ["key", "equals"],
        "additionalProperties": False,
    }
)
class ShowIfField(serializers.Field):  # type: ignore[type-arg]
    """Another question's key and the answer to it at which this one is asked."""

    default_error_messages = {"invalid": _("Must be an object with key and equals.")}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        is_condition = isinstance(data, dict) and data.keys() == {"key", "equals"} and isinstance(data["key"], str)
        if not is_condition or isinstance(data["equals"], bool) or not isinstance(data["equals"], str | int):
            self.fail("invalid")
        return dict(data)

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class QuestionRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    key = serializers.CharField(help_text=_("In exports; the same key in two versions is the same question."))
    kind = serializers.ChoiceField(choices=QuestionKind.values)
    # Named as the models name it, although a serializer has a label of its own; this one only describes.
    label = serializers.CharField()  # type: ignore[assignment]
    help = serializers.CharField(allow_blank=True)
    options = ObjectField(help_text=_OPTIONS)
    show_if = ShowIfField(help_text=_("Asked only when another one has this answer; null: always."), allow_null=True)
    is_required = serializers.BooleanField()
    translations = ObjectField(help_text=_("Language → part of its text → translation."))


class QuestionnaireRowSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One version of a questionnaire, with its questions in order. A published one never changes."""

    slug = serializers.CharField()
    version = serializers.IntegerField(min_value=1)
    revision = serializers.IntegerField(min_value=1, help_text=_("Rises with every change to a draft."))
    title = serializers.CharField()
    intro = serializers.CharField(allow_blank=True)
    language = serializers.CharField(help_text=_("The language that its texts are written in."))
    translations = ObjectField(help_text=_("Language → part of its text → translation."))
    on_answers = serializers.BooleanField()
    on_comparisons = serializers.BooleanField()
    on_cards = serializers.BooleanField()
    is_current = serializers.BooleanField(help_text=_("Whether this version is asked now."))
    published_at = serializers.DateTimeField(allow_null=True, help_text=_("Null: a draft."))
    created_at = serializers.DateTimeField()
    questions = QuestionRowSerializer(many=True)


MEMBERS: Final = members_of(QuestionnaireRowSerializer)


class NewQuestionnaireSerializer(StrictSerializer):
    """The draft of a new questionnaire's first version."""

    slug = StrictPatternField(SLUG, max_length=80, help_text=_("Its name in addresses and exports."))
    title = StrictTextField(max_length=200)


class QuestionnaireSettingsSerializer(StrictSerializer):
    """What is not named stays."""

    title = StrictTextField(max_length=200, required=False)
    intro = StrictTextField(allow_blank=True, required=False, help_text=_("Markdown."))
    language = StrictChoiceField(choices=list(LANGUAGE_NAMES), required=False)
    on_answers = StrictBooleanField(required=False)
    on_comparisons = StrictBooleanField(required=False)
    on_cards = StrictBooleanField(required=False)


class ChangeQuestionSerializer(StrictSerializer):
    """What is not named stays."""

    key = StrictPatternField(SLUG, max_length=60, required=False)
    label = StrictTextField(max_length=200, required=False)  # type: ignore[assignment]
    help = StrictTextField(max_length=4_000, allow_blank=True, required=False, help_text=_("Markdown."))
    options = StrictObjectField(required=False, help_text=_OPTIONS)
    show_if = ShowIfField(required=False, allow_null=True)
    is_required = StrictBooleanField(required=False)


class NewQuestionSerializer(ChangeQuestionSerializer):
    """A question, which is put at the end."""

    key = StrictPatternField(SLUG, max_length=60)
    kind = StrictChoiceField(choices=QuestionKind.values)
    label = StrictTextField(max_length=200)


class MoveSerializer(StrictSerializer):
    direction = StrictChoiceField(choices=["up", "down"])


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class TextsField(StrictObjectField):
    """Name → text."""

    default_error_messages = {"text": _("Each must be a text.")}

    def to_internal_value(self, data: Any) -> dict[str, str]:
        texts = super().to_internal_value(data)
        if not all(isinstance(text, str) for text in texts.values()):
            self.fail("text")
        return texts


class TranslationSerializer(StrictSerializer):
    texts = TextsField(
        help_text=_(
            "Part → translation: .title and .intro of the questionnaire, key.label, key.help, key.choices.good of a "
            "question. An empty one falls back to what was written; what is not named stays."
        )
    )


EXAMPLE_QUESTION: Final = {
    "key": "tone",
    "kind": "rating",
    "label": "How fitting is the tone?",
    "help": "",
    "options": {"min": 1, "max": 5, "anchors": {"1": "Not at all", "5": "Perfectly"}},
    "show_if": None,
    "is_required": False,
    "translations": {"de": {"label": "Wie passend ist der Ton?"}},
}
EXAMPLE: Final = {
    "slug": "tone",
    "version": 1,
    "revision": 3,
    "title": "Tone of answers",
    "intro": "",
    "language": "en",
    "translations": {"de": {"title": "Der Ton von Antworten"}},
    "on_answers": True,
    "on_comparisons": False,
    "on_cards": False,
    "is_current": True,
    "published_at": "2026-05-02T12:00:00.000000Z",
    "created_at": "2026-05-01T12:00:00.000000Z",
    "questions": [EXAMPLE_QUESTION],
}


def questionnaire_row(questionnaire: Questionnaire) -> dict[str, Any]:
    """One version with its questions."""
    published = questionnaire.published_at
    return {
        "slug": questionnaire.slug,
        "version": questionnaire.version,
        "revision": questionnaire.revision,
        "title": questionnaire.title,
        "intro": questionnaire.intro,
        "language": questionnaire.language,
        "translations": questionnaire.translations,
        "on_answers": questionnaire.on_answers,
        "on_comparisons": questionnaire.on_comparisons,
        "on_cards": questionnaire.on_cards,
        "is_current": questionnaire.is_current,
        "published_at": iso_utc(published) if published is not None else None,
        "created_at": iso_utc(questionnaire.created_at),
        "questions": [_question_row(question) for question in questionnaire.questions.all()],
    }


def _question_row(question: Question) -> dict[str, Any]:
    return {
        "key": question.key,
        "kind": question.kind,
        "label": question.label,
        "help": question.help,
        "options": question.options,
        "show_if": question.show_if or None,
        "is_required": question.is_required,
        "translations": question.translations,
    }
