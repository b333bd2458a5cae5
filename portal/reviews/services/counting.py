"""Keeping the daily counts and the contributors' records with every change, by increments that commute."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection
from django.db.models import F, Model

from portal.prepared_writing import insertion
from portal.reviews.models import ContributorRecord, DailyCount, ReviewItem
from portal.reviews.models.contributors import COLUMN_OF_OUTCOME
from portal.reviews.models.counts import HOURS, Flow
from portal.reviews.models.queue import Subject
from portal.reviews.settling import Verdict


def hours_class(entered_at: datetime, decided_at: datetime) -> int:
    """The index in HOURS of the first edge that the time to the verdict does not pass."""
    hours = (decided_at - entered_at).total_seconds() / 3600
    return next((index for index, edge in enumerate(HOURS) if hours <= edge), len(HOURS))


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """Where an item that entered is counted."""

    day: date
    card: int
    variant: int
    language: str
    questionnaire: str
    campaign: str

    @classmethod
    def of(cls, item: ReviewItem) -> Entry:
        return cls(item.entered_at.astimezone(UTC).date(), **_facets(item))


def count_entries(steps: Counter[Entry]) -> None:
    """Add to (or take from) what entered, in one order for all, so that no two who count wait for each other."""
    for entry in sorted(steps):
        if steps[entry]:
            _add(steps[entry], flow=Flow.ENTERED, **asdict(entry))


def count_decision(item: ReviewItem, step: int) -> None:
    """Add (or take back) the decision that the item shows."""
    assert item.decided_at is not None
    _add(
        step,
        day=item.decided_at.astimezone(UTC).date(),
        flow=Flow(item.outcome),
        reason=item.reason,
        hours_class=hours_class(item.entered_at, item.decided_at),
        **_facets(item),
    )


def count_given(subject: Subject) -> ContributorRecord | None:
    """One more of this contributor's; their record, or None of somebody whose account is gone."""
    person = _person(subject)
    if person is None:
        return None
    record = ContributorRecord(**person, given=1, last_given_at=subject.created_at)
    found = _upsert(
        record,
        next(iter(person)),
        "given = {table}.given + 1, last_given_at = excluded.last_given_at",
        returning=("given", "accepted", "rejected", "spam"),
    )
    record.given, record.accepted, record.rejected, record.spam = found
    return record


def contributor_of(subject: Subject) -> ContributorRecord | None:
    """How this contributor's fared so far."""
    person = _person(subject)
    return ContributorRecord.objects.filter(**person).first() if person is not None else None


def count_outcome(subject: Subject, outcome: str, step: int) -> None:
    person = _person(subject)
    if person is None:
        return
    record, _is_new = ContributorRecord.objects.get_or_create(**person)
    column = COLUMN_OF_OUTCOME[Verdict(outcome)]
    ContributorRecord.objects.filter(pk=record.pk).update(**{column: F(column) + step})


def _person(subject: Subject) -> dict[str, Any] | None:
    if subject.owner_id is not None:
        return {"owner_id": subject.owner_id}
    return {"visitor": subject.visitor} if subject.visitor is not None else None


def _facets(item: ReviewItem) -> dict[str, Any]:
    return {
        "card": item.card_id or 0,
        "variant": item.variant_id or 0,
        "language": item.language,
        "questionnaire": item.questionnaire,
        "campaign": str(item.campaign_id or ""),
    }


def _add(step: int, **given: Any) -> None:
    key = {"reason": "", "hours_class": 0} | given
    key_columns = ", ".join(connection.ops.quote_name(name) for name in key)
    count = connection.ops.quote_name("count")
    _upsert(DailyCount(**key, count=step), key_columns, f"{count} = {{table}}.{count} + excluded.{count}")


def _upsert(row: Model, key: str, change: str, returning: tuple[str, ...] = ()) -> tuple[Any, ...]:
    """Insert the row, or change the one with its key: one statement, which no other writer comes between.

    Both databases have it in these words; Django's own upsert overwrites and cannot add. `key` and `change` are ours.
    """
    inserted, values = insertion(row)
    change = change.format(table=connection.ops.quote_name(row._meta.db_table))  # noqa: SLF001
    sql = f"{inserted} ON CONFLICT ({key}) DO UPDATE SET {change}"
    if returning:
        sql += f" RETURNING {', '.join(returning)}"
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone() if returning else ()
