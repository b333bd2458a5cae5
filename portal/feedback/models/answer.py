"""One answer to one question, in a typed column that the database can compare and index."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import models
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from portal.feedback.models.questionnaire import Question, QuestionKind
from portal.feedback.models.submission import Submission

COLUMN_OF_KIND: Final = {
    QuestionKind.THUMB: "choice",
    QuestionKind.YES_NO: "choice",
    QuestionKind.RATING: "number",
    QuestionKind.CHOICE: "choice",
    QuestionKind.CHOICES: "data",
    QuestionKind.RANKING: "data",
    QuestionKind.TEXT: "text",
    QuestionKind.NUMBER: "decimal",
    QuestionKind.DATE: "date",
    QuestionKind.SPANS: "data",
    QuestionKind.CORRECTION: "text",
    QuestionKind.TOKEN: "data",
    QuestionKind.MATRIX: "data",
}
# In the order of stored_value's parameters.
COLUMNS: Final = ("number", "choice", "text", "decimal", "date", "data")


def stored_value(
    number: int | None, choice: str, text: str, decimal: Decimal | None, day: date | None, data: Any
) -> Any:
    """The value in the one column of an answer that is filled, as JSON has it."""
    if number is not None:
        return number
    if decimal is not None:
        return int(decimal) if decimal == decimal.to_integral_value() else float(decimal)
    if day is not None:
        return day.isoformat()
    return choice or text or data


class _WithQuestions(models.Manager["Answer"]):
    """An answer says nothing without its question, which therefore comes along: one query and not one for each."""

    def get_queryset(self) -> QuerySet[Answer]:
        return super().get_queryset().select_related("question")


class Answer(models.Model):
    """The answer to one question, in the one column that its question's kind uses. No answer has no row."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="answers")
    number = models.IntegerField(_("number"), null=True, blank=True)
    choice = models.CharField(_("choice"), max_length=60, blank=True)
    text = models.TextField(_("text"), blank=True)
    decimal = models.DecimalField(_("decimal number"), max_digits=20, decimal_places=6, null=True, blank=True)
    date = models.DateField(_("date"), null=True, blank=True)
    data = models.JSONField(_("structured value"), null=True, blank=True)

    objects = _WithQuestions()

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
        if column == "decimal":
            value = Decimal(str(value))
        elif column == "date":
            value = date.fromisoformat(value)
        return cls(submission=submission, question=question, **{column: value})

    @property
    def value(self) -> Any:
        return stored_value(self.number, self.choice, self.text, self.decimal, self.date, self.data)
