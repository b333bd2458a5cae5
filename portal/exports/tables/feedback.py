"""`feedback`: judgements of answers, in the rows that the API's list has."""

from __future__ import annotations

from typing import Any, Final, cast

from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import Criteria
from portal.exports.queries import read_all, selected, until_now
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.columns import CARD, GIVEN, MODEL, SUBMISSION_FILTERS, TERMS
from portal.exports.tables.table import Chunks, ExportTable, Plan
from portal.feedback.answer_quality import QUESTIONS
from portal.feedback.models import QuestionKind

ANSWER_KEYS: Final = tuple(str(question["key"]) for question in QUESTIONS)
KIND_OF_QUESTION: Final = {
    QuestionKind.RATING: Kind.INTEGER,
    QuestionKind.NUMBER: Kind.NUMBER,
    QuestionKind.CHOICES: Kind.TEXTS,
    QuestionKind.RANKING: Kind.JSON,
    QuestionKind.SPANS: Kind.JSON,
    QuestionKind.TOKEN: Kind.JSON,
    QuestionKind.MATRIX: Kind.JSON,
}
"""What a column of answers holds; texts where nothing else is said."""

_ANSWERS: Final = Column("answers", Kind.JSON, _("Question key → value, only what was answered."))
_RUN: Final = (
    Column("generation", Kind.TEXT, _("The run that was judged.")),
    CARD,
    Column("variant", Kind.TEXT, _("The variant's name on its card."), is_nullable=True, category=True),
    MODEL,
    Column("turn", Kind.INTEGER, _("1 for the first prompt of a conversation; earlier turns are not shared.")),
    Column("prompt", Kind.TEXT, _("The last prompt.")),
    Column("output", Kind.TEXT, _("The answer that was judged.")),
    Column("finish_reason", Kind.TEXT, _("Why the answer ended."), category=True),
    Column("params", Kind.JSON, _("The sampling parameters.")),
    Column("seed", Kind.INTEGER, _("The seed, where one was chosen."), is_nullable=True),
    Column("weights_sha256", Kind.JSON, _("File name → SHA-256 of the weights that ran.")),
    Column("provenance", Kind.JSON, _("What else is needed to repeat the run.")),
)


def _answer_column(question: dict[str, Any]) -> Column:
    kind = KIND_OF_QUESTION.get(question["kind"], Kind.TEXT)
    return Column(question["key"], kind, question["label"], is_nullable=True, category=kind == Kind.TEXT)


SCHEMA: Final = Schema((*GIVEN, _ANSWERS, *TERMS, *_RUN))
FLAT_SCHEMA: Final = Schema(
    (
        *GIVEN,
        *map(_answer_column, QUESTIONS),
        Column("other_answers", Kind.JSON, _("Answers to questions that the shipped questionnaire has not.")),
        *TERMS,
        *_RUN,
    )
)


def flatten(row: Row) -> Row:
    """A column for each question that ships, in place of the one object."""
    answers = dict(row["answers"])
    flat = {**row, **{key: answers.pop(key, None) for key in ANSWER_KEYS}, "other_answers": answers}
    del flat["answers"]
    return flat


def _plan(criteria: Criteria, salt: bytes) -> Plan:
    chunks = cast("Chunks", read_all(criteria, salt))
    return Plan(SCHEMA, chunks, FLAT_SCHEMA, flatten, selected(until_now(criteria)).count)


FEEDBACK: Final = ExportTable(
    name="feedback",
    title=_("Judgements of answers"),
    summary=_(
        "One row per judgement of an answer, as the API's list has it; CSV and Parquet have a column per question."
    ),
    schema=SCHEMA,
    filters=SUBMISSION_FILTERS,
    make_plan=_plan,
    records_of=lambda row: (row["id"],),
)
