"""Times and ids as the database writes them are in a row what Python makes of the values."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.models import User
from portal.exports.database_texts import iso_text, moment_of
from portal.exports.queries import row_of
from portal.exports.rows import iso_utc, pseudonym
from tests.feedback.judgements import judge

OFFSETS = st.integers(-15, 15).map(lambda hours: timezone(timedelta(hours=hours)))


def postgres_writes(moment: datetime) -> str:
    """With an offset in hours, and without the fraction's last zeros."""
    text, offset = f"{moment:%H:%M:%S.%f}".rstrip("0"), int((moment.utcoffset() or timedelta()).total_seconds() // 3600)
    return f"{moment.date().isoformat()} {text if text[-1] != '.' else text[:-1]}{offset:+03d}"


@given(st.datetimes(timezones=OFFSETS | st.just(UTC)).filter(lambda moment: 1 < moment.year < 9999))
def test_a_time_of_postgresql_is_read_as_it_was_meant(moment: datetime) -> None:
    assert iso_text(postgres_writes(moment)) == iso_utc(moment)
    assert moment_of(postgres_writes(moment)) == moment


@given(st.datetimes())
def test_a_time_of_sqlite_is_in_utc(moment: datetime) -> None:
    assert iso_text(str(moment)) == iso_utc(moment.replace(tzinfo=UTC))


@pytest.mark.django_db
@pytest.mark.parametrize("microsecond", [0, 5, 120_000, 123_456])
def test_a_row_of_the_database_has_the_same_times_and_ids(alice: User, visitor: uuid.UUID, microsecond: int) -> None:
    moment = datetime(2026, 5, 1, 12, 0, 0, microsecond, tzinfo=UTC)
    for person in (alice, visitor):
        submission = judge(person, created_at=moment)
        row = row_of(submission)
        assert row is not None
        assert (row["id"], row["generation"]) == (str(submission.pk), str(submission.generation_id))
        assert (row["created_at"], row["changed_at"]) == (iso_utc(moment), iso_utc(submission.changed_at))
        name = pseudonym(settings.EXPORT_SALT.encode(), submission.owner_id, submission.visitor)
        assert row["contributor"] == name
