"""The review database's intake: versioned questionnaires, and what people submitted on a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.playground.models import Generation

JUST_NOW: Final = timedelta(seconds=10)


class Questionnaire(models.Model):
    """A set of questions. A version that was answered is never rewritten; an edit makes the next version."""

    slug = models.SlugField(_("name"), max_length=80)
    version = models.PositiveIntegerField(_("version"), default=1)
    title = models.CharField(_("title"), max_length=200)
    is_current = models.BooleanField(_("current"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("questionnaire")
        verbose_name_plural = _("questionnaires")
        ordering = ["slug", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["slug", "version"], name="questionnaire_version_unique"),
            models.UniqueConstraint(fields=["slug"], condition=Q(is_current=True), name="questionnaire_one_current"),
        ]

    def __str__(self) -> str:
        return f"{self.slug} v{self.version}"

    def is_answered(self) -> bool:
        """Whether somebody answered this version, tombstones included: from then on it is never rewritten."""
        return self.submissions.exists()


class QuestionKind(models.TextChoices):
    """How a question is answered, and so which form its answer's value has."""

    THUMB = "thumb", _("Thumb")  # "up" | "down"
    RATING = "rating", _("Rating")  # whole number, options["min"] to options["max"]; options["anchors"] names some
    CHOICES = "choices", _("Multiple choice")  # list of keys of options["choices"] = [{key, label}]
    TEXT = "text", _("Free text")  # string, at most options["max_characters"]


class Question(models.Model):
    """One question. `options` holds what its kind needs; `show_if` = {"key": …, "equals": …} makes it conditional."""

    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.CASCADE, related_name="questions")
    key = models.SlugField(_("key"), max_length=60)
    kind = models.CharField(_("kind"), max_length=20, choices=QuestionKind)
    label = models.CharField(_("label"), max_length=200)
    options = models.JSONField(_("options"), default=dict, blank=True)
    show_if = models.JSONField(_("shown if"), default=dict, blank=True)
    is_required = models.BooleanField(_("required"), default=False)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("question")
        verbose_name_plural = _("questions")
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["questionnaire", "key"], name="question_key_unique")]

    def __str__(self) -> str:
        return self.key


class Submission(models.Model):
    """One person's judgement of one generation. Withdrawing keeps the row as a tombstone without its answers.

    `version` rises with every accepted write, so that a change based on an older one can be refused.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="submissions")
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="submissions")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="submissions",
        verbose_name=_("contributor"),
    )
    visitor = models.UUIDField(_("anonymous visitor"), null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(_("version"), default=1)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True, blank=True, editable=False)

    # Set on the instance by the call that created the row; never stored.
    newly_created = False

    class Meta:
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "owner"], condition=Q(owner__isnull=False), name="submission_one_per_user"
            ),
            models.UniqueConstraint(
                fields=["generation", "visitor"], condition=Q(visitor__isnull=False), name="submission_one_per_visitor"
            ),
            # Neither is what remains of a deleted account's judgement.
            models.CheckConstraint(
                condition=~Q(owner__isnull=False, visitor__isnull=False), name="submission_one_kind_of_owner"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="submission_created"),
            models.Index(fields=["owner", "-changed_at", "-id"], name="submission_of_owner"),
            models.Index(fields=["visitor", "-changed_at", "-id"], name="submission_of_visitor"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None

    @property
    def changed_just_now(self) -> bool:
        return timezone.now() - self.changed_at < JUST_NOW

    def values(self) -> dict[str, Any]:
        """Question key → value of everything answered, in the questionnaire's order."""
        return {answer.question.key: answer.value for answer in self.answers.all()}

    def replace_answers(self, answers: Iterable[Answer]) -> None:
        """Make `answers` all there is. Call inside a transaction that holds this row."""
        self.answers.all().delete()
        Answer.objects.bulk_create(answers)

    def withdraw(self, at: datetime) -> None:
        """Become a tombstone: when and on what, but no longer what. Call inside a transaction that holds this row."""
        self.answers.all().delete()
        self.withdrawn_at = self.changed_at = at
        self.version += 1
        self.save(update_fields=["withdrawn_at", "changed_at", "version"])


# Where a kind of question keeps its answers: a typed column that the database can compare and index.
COLUMN_OF_KIND: Final = {
    QuestionKind.THUMB: "choice",
    QuestionKind.RATING: "number",
    QuestionKind.CHOICES: "data",
    QuestionKind.TEXT: "text",
}


def stored_value(number: int | None, choice: str, text: str, data: Any) -> Any:
    """The value in the one column of an answer that is filled."""
    if number is not None:
        return number
    return choice or text or data


class Answer(models.Model):
    """The answer to one question, in the one column that its question's kind uses. No answer has no row."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="answers")
    number = models.IntegerField(_("number"), null=True, blank=True)
    choice = models.CharField(_("choice"), max_length=60, blank=True)
    text = models.TextField(_("text"), blank=True)
    data = models.JSONField(_("structured value"), null=True, blank=True)

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        ordering = ["question__position", "question__pk"]
        constraints = [models.UniqueConstraint(fields=["submission", "question"], name="answer_one_per_question")]
        indexes = [
            models.Index(fields=["question", "number", "submission"], name="answer_number"),
            models.Index(fields=["question", "choice", "submission"], name="answer_choice"),
        ]

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def of(cls, submission: Submission, question: Question, value: Any) -> Answer:
        """An unsaved answer holding a value that was validated against its question."""
        column = COLUMN_OF_KIND[QuestionKind(question.kind)]
        return cls(submission=submission, question=question, **{column: value})

    @property
    def value(self) -> Any:
        return stored_value(self.number, self.choice, self.text, self.data)
