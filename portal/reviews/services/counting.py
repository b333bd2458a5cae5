"""Keeping the daily counts and the contributors' records with every change, by increments that commute."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F

from portal.reviews.models import ContributorRecord, DailyCount, ReviewItem
from portal.reviews.models.counts import HOURS, Flow
from portal.reviews.models.queue import Subject
from portal.reviews.settling import Verdict

_COLUMN_OF_OUTCOME: Final = {
    Verdict.ACCEPT: "accepted",
    Verdict.REJECT: "rejected",
    Verdict.DUPLICATE: "duplicates",
    Verdict.SPAM: "spam",
}


def hours_class(entered_at: datetime, decided_at: datetime) -> int:
    """The index in HOURS of the first edge that the time to the verdict does not pass."""
    hours = (decided_at - entered_at).total_seconds() / 3600
    return next((index for index, edge in enumerate(HOURS) if hours <= edge), len(HOURS))


def count_entry(item: ReviewItem) -> None:
    _add(1, day=item.entered_at.astimezone(UTC).date(), flow=Flow.ENTERED, **_facets(item))


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
    record = ContributorRecord.objects.filter(**person).first()
    if record is None:
        # Nobody's row is in the way of this statement, so it needs no savepoint; what counts is the increment below.
        record = ContributorRecord(**person)
        ContributorRecord.objects.bulk_create([record], ignore_conflicts=True)
    ContributorRecord.objects.filter(**person).update(given=F("given") + 1, last_given_at=subject.created_at)
    return record


def count_outcome(subject: Subject, outcome: str, step: int) -> None:
    person = _person(subject)
    if person is None:
        return
    record, _is_new = ContributorRecord.objects.get_or_create(**person)
    column = _COLUMN_OF_OUTCOME[Verdict(outcome)]
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
    if DailyCount.objects.filter(**key).update(count=F("count") + step):
        return
    try:
        with transaction.atomic():
            DailyCount.objects.create(**key, count=step)
    except IntegrityError:
        # Somebody made the row between the look and the insert.
        DailyCount.objects.filter(**key).update(count=F("count") + step)
