"""`answers`: the long form, one row per answer to one question."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import Criteria
from portal.exports.queries import read_records, selected, until_now
from portal.exports.records import SubmissionRecord
from portal.exports.rows import pseudonym
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.columns import (
    CARD,
    CONTRIBUTOR,
    CREATED_AT,
    MODEL,
    QUESTIONNAIRE,
    QUESTIONNAIRE_VERSION,
    SUBMISSION_FILTERS,
    TERMS,
    terms_columns,
)
from portal.exports.tables.table import ExportTable, Plan
from portal.feedback.models import Answer, Target

SCHEMA: Final = Schema(
    (
        Column("submission", Kind.TEXT, _("The submission's id.")),
        CREATED_AT,
        CONTRIBUTOR,
        QUESTIONNAIRE,
        QUESTIONNAIRE_VERSION,
        Column("question", Kind.TEXT, _("The question's key."), category=True),
        Column("kind", Kind.TEXT, _("How it is answered."), category=True),
        Column("number", Kind.NUMBER, _("The value where it is a number."), is_nullable=True),
        Column("text", Kind.TEXT, _("The value where it is a text or one choice."), is_nullable=True),
        Column("value", Kind.JSON, _("The value, whatever its kind.")),
        *TERMS,
        Column("target", Kind.TEXT, _("What was judged."), category=True),
        CARD,
        MODEL,
        Column("generation", Kind.TEXT, _("The run whose answer was judged."), is_nullable=True),
    )
)


def answer_rows(record: SubmissionRecord, salt: bytes) -> list[Row]:
    """One row per answer, in the questionnaire's order."""
    shared: Row = {
        "submission": record.id,
        "created_at": record.created_at,
        "contributor": pseudonym(salt, record.owner_id, record.visitor),
        "questionnaire": record.questionnaire,
        "questionnaire_version": record.questionnaire_version,
    }
    judged: Row = {
        **terms_columns(record),
        "target": record.target,
        "card": record.card,
        "model": record.model,
        "generation": record.generation,
    }
    return [
        {**shared, "question": key, "kind": answer.kind, **_values(answer.value), **judged}
        for key, answer in record.answers.items()
    ]


def _values(value: Any) -> Row:
    return {
        "number": value if isinstance(value, int | float) and not isinstance(value, bool) else None,
        "text": value if isinstance(value, str) else None,
        "value": value,
    }


def _plan(criteria: Criteria, salt: bytes) -> Plan:
    submissions = selected(until_now(criteria), Target)
    chunks = ([row for record in chunk for row in answer_rows(record, salt)] for chunk in read_records(submissions))
    answers = Answer.objects.filter(submission__in=submissions)
    return Plan(SCHEMA, chunks, expected=answers.count)


ANSWERS: Final = ExportTable(
    name="answers",
    title=_("Answers"),
    summary=_("The long form: one row per answer to one question."),
    schema=SCHEMA,
    filters=SUBMISSION_FILTERS,
    make_plan=_plan,
    records_of=lambda row: (row["submission"],),
)
