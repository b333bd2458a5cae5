"""The rows of what moved, as they are now: what each kind of record shows to whoever may read exports."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from django.conf import settings
from django.db.models import Q

from portal.catalog.job_models import JobState
from portal.exports.criteria import Criteria
from portal.exports.models import RecordKind, Snapshot
from portal.exports.queries import read_records
from portal.exports.rows import iso_utc
from portal.exports.tables.comparisons import comparison_row, selected_votes
from portal.exports.tables.submissions import submission_row
from portal.feedback.models import PUBLISHABLE, Submission
from portal.reviews.models import Limitation, ReviewItem
from portal.reviews.queries.limitations import counted_limitations
from portal.reviews.settling import ItemState

Record = tuple[str, str]
"""A kind and which one, as `Change.record` tells it."""


def rows_now(records: Iterable[Record]) -> dict[Record, dict[str, Any]]:
    """The rows of those that are there for everybody, in a query or two for each kind among them."""
    wanted: dict[str, set[str]] = {}
    for kind, record in records:
        wanted.setdefault(kind, set()).add(record)
    return {(kind, each): row for kind, ids in wanted.items() for each, row in _READERS[RecordKind(kind)](ids).items()}


def verdict_row(item: ReviewItem) -> dict[str, Any]:
    """What reviewers decided on a submission or a vote: the outcome, and nothing of who said what."""
    original = item.duplicate_of
    return {
        "submission": None if item.submission_id is None else str(item.submission_id),
        "vote": None if item.vote_id is None else str(item.vote_id),
        "outcome": item.outcome,
        "reason": item.reason,
        "duplicate_of": None if original is None else str(original.submission_id or original.vote_id),
        "verdicts": item.verdict_count,
        "decided_at": None if item.decided_at is None else iso_utc(item.decided_at),
    }


def limitation_row(limitation: Limitation) -> dict[str, Any]:
    """A known limitation out of `counted_limitations`, as its card's page shows it."""
    mitigated_in = limitation.mitigated_in
    return {
        "id": str(limitation.pk),
        "card": limitation.card.name,
        "title": limitation.title,
        "description": limitation.description,
        "severity": limitation.severity,
        "state": limitation.state,
        "mitigated_in": None if mitigated_in is None else mitigated_in.model_id,
        "reports": limitation.report_count,  # type: ignore[attr-defined]
        "version": limitation.version,
        "created_at": iso_utc(limitation.created_at),
        "changed_at": iso_utc(limitation.changed_at),
    }


def snapshot_row(snapshot: Snapshot) -> dict[str, Any]:
    """A published snapshot in short; the API has its files."""
    manifest = snapshot.manifest
    return {
        "number": snapshot.number,
        "title": snapshot.title,
        "note": snapshot.note,
        "as_of": iso_utc(snapshot.as_of),
        "rows": manifest["rows"],
        "licences": manifest["licences"],
        "previous": manifest["previous"],
    }


def _submissions(ids: Collection[str]) -> dict[str, dict[str, Any]]:
    salt = settings.EXPORT_SALT.encode()
    live = Submission.objects.filter(pk__in=_uuids(ids), withdrawn_at=None, consent__in=PUBLISHABLE)
    return {record.id: submission_row(record, salt) for chunk in read_records(live) for record in chunk}


def _votes(ids: Collection[str]) -> dict[str, dict[str, Any]]:
    salt = settings.EXPORT_SALT.encode()
    return {str(vote.pk): comparison_row(vote, salt) for vote in selected_votes(Criteria()).filter(pk__in=_uuids(ids))}


def _verdicts(ids: Collection[str]) -> dict[str, dict[str, Any]]:
    keys = _uuids(ids)
    of_submission = Q(submission__in=keys, submission__withdrawn_at=None, submission__consent__in=PUBLISHABLE)
    of_vote = Q(vote__in=keys, vote__withdrawn_at=None)
    decided = ReviewItem.objects.filter(of_submission | of_vote, state=ItemState.DECIDED)
    return {
        str(item.submission_id or item.vote_id): verdict_row(item) for item in decided.select_related("duplicate_of")
    }


def _limitations(ids: Collection[str]) -> dict[str, dict[str, Any]]:
    shown = counted_limitations().filter(pk__in=_uuids(ids), card__is_published=True)
    return {str(each.pk): limitation_row(each) for each in shown}


def _snapshots(ids: Collection[str]) -> dict[str, dict[str, Any]]:
    published = Snapshot.objects.filter(number__in=[int(each) for each in ids], state=JobState.SUCCEEDED)
    return {str(each.number): snapshot_row(each) for each in published}


def _uuids(ids: Iterable[str]) -> list[uuid.UUID]:
    return [uuid.UUID(each) for each in ids]


_READERS: Final[dict[RecordKind, Callable[[Collection[str]], dict[str, dict[str, Any]]]]] = {
    RecordKind.SUBMISSION: _submissions,
    RecordKind.VOTE: _votes,
    RecordKind.VERDICT: _verdicts,
    RecordKind.LIMITATION: _limitations,
    RecordKind.SNAPSHOT: _snapshots,
}
