"""`submissions_wide`: the submissions to one questionnaire, a column for each of its questions."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.queries import read_records, selected, until_now
from portal.exports.records import SubmissionRecord
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.columns import (
    GIVEN,
    JUDGED,
    SUBMISSION_FILTERS,
    TERMS,
    given_columns,
    judged_columns,
    terms_columns,
)
from portal.exports.tables.feedback import KIND_OF_QUESTION
from portal.exports.tables.table import ExportTable, Plan
from portal.feedback.models import Question, QuestionKind, Questionnaire, Target

PREFIX: Final = "answer_"
"""Before each question's key, so that none is taken for another column."""


def question_columns(questions: list[tuple[str, str, str]]) -> tuple[Column, ...]:
    """A column per key of (key, kind, label), oldest version first; of two kinds under one key it holds JSON."""
    columns: dict[str, Column] = {}
    for key, question_kind, label in questions:
        kind = KIND_OF_QUESTION.get(QuestionKind(question_kind), Kind.TEXT)
        if key in columns and columns[key].kind != kind:
            kind = Kind.JSON
        columns[key] = Column(PREFIX + key, kind, label, is_nullable=True)
    return tuple(columns.values())


def wide_row(record: SubmissionRecord, keys: tuple[str, ...], salt: bytes) -> Row:
    """One row per submission, null where nothing was answered."""
    values = record.values
    return {
        **given_columns(record, salt),
        **{PREFIX + key: values.get(key) for key in keys},
        **terms_columns(record),
        **judged_columns(record),
    }


def _plan(criteria: Criteria, salt: bytes) -> Plan:
    if criteria.questionnaire is None:
        raise InvalidCriterion("questionnaire", _("Name the questionnaire whose questions become columns."))
    if not Questionnaire.objects.filter(slug=criteria.questionnaire).exists():
        raise InvalidCriterion("questionnaire", _("There is no questionnaire %s here.") % criteria.questionnaire)
    asked = Question.objects.filter(
        questionnaire__slug=criteria.questionnaire, questionnaire__published_at__isnull=False
    ).order_by("questionnaire__version", "position")
    columns = question_columns(list(asked.values_list("key", "kind", "label")))
    keys = tuple(column.name.removeprefix(PREFIX) for column in columns)
    submissions = selected(until_now(criteria), Target)
    chunks = ([wide_row(record, keys, salt) for record in chunk] for chunk in read_records(submissions))
    schema = Schema((*GIVEN, *columns, *TERMS, *JUDGED))
    return Plan(schema, chunks, expected=submissions.count)


SUBMISSIONS_WIDE: Final = ExportTable(
    name="submissions_wide",
    title=gettext_lazy("Submissions, a column per question"),
    summary=gettext_lazy("The submissions to one questionnaire; name it with the filter questionnaire."),
    schema=Schema((*GIVEN, *TERMS, *JUDGED)),
    filters=SUBMISSION_FILTERS,
    make_plan=_plan,
    records_of=lambda row: (row["id"],),
)
