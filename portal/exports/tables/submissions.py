"""`submissions`: everything that was said, about whatever it was, the answers as one object."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from portal.exports.criteria import Criteria
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
from portal.exports.tables.table import ExportTable, Plan
from portal.feedback.models import Target

SCHEMA: Final = Schema(
    (*GIVEN, Column("answers", Kind.JSON, _("Question key → value, only what was answered.")), *TERMS, *JUDGED)
)


def submission_row(record: SubmissionRecord, salt: bytes) -> Row:
    """One row per submission."""
    return {
        **given_columns(record, salt),
        "answers": record.values,
        **terms_columns(record),
        **judged_columns(record),
    }


def _plan(criteria: Criteria, salt: bytes) -> Plan:
    submissions = selected(until_now(criteria), Target)
    chunks = ([submission_row(record, salt) for record in chunk] for chunk in read_records(submissions))
    return Plan(SCHEMA, chunks, expected=submissions.count)


SUBMISSIONS: Final = ExportTable(
    name="submissions",
    title=_("Submissions"),
    summary=_("One row per submission about an answer, a comparison, a card or a campaign."),
    schema=SCHEMA,
    filters=SUBMISSION_FILTERS,
    make_plan=_plan,
    records_of=lambda row: (row["id"],),
)
