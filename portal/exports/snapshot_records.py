"""Which records stand in which snapshot: kept while it is built, compared with another, and told when they are gone."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from portal.arena.models import Vote
from portal.exports.models import Snapshot, SnapshotRecord
from portal.feedback.contribution_notes import ContributionNote
from portal.feedback.models import PUBLISHABLE, Submission

BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """How many records of `later` are new, are there in another version, and how many of `earlier` are gone."""

    added: int
    changed: int
    withdrawn: int
    # Still there, but not selected any more.
    left: int


def keep_records(snapshot: Snapshot, ids: Collection[str]) -> None:
    """Note that these submissions and votes stand in the snapshot; again changes nothing."""
    keys = [uuid.UUID(each) for each in ids]
    versions: list[SnapshotRecord] = []
    for submission_id, version in Submission.objects.filter(pk__in=keys).values_list("pk", "version"):
        versions.append(SnapshotRecord(snapshot=snapshot, record_id=submission_id, version=version))
    for vote_id, changed_at in Vote.objects.filter(pk__in=keys).values_list("pk", "changed_at"):
        microseconds = int(changed_at.timestamp() * 1_000_000)
        versions.append(SnapshotRecord(snapshot=snapshot, record_id=vote_id, is_vote=True, version=microseconds))
    SnapshotRecord.objects.bulk_create(versions, batch_size=BATCH, ignore_conflicts=True)


def gone(snapshot: Snapshot) -> QuerySet[SnapshotRecord]:
    """Records of the snapshot that were withdrawn, deleted or are not to be published any more since."""
    live_submission = Submission.objects.filter(pk=OuterRef("record_id"), withdrawn_at=None, consent__in=PUBLISHABLE)
    live_vote = Vote.objects.filter(pk=OuterRef("record_id"), withdrawn_at=None)
    return snapshot.records.filter(
        (Q(is_vote=False) & ~Exists(live_submission)) | (Q(is_vote=True) & ~Exists(live_vote))
    ).order_by("pk")


def difference(earlier: Snapshot, later: Snapshot) -> Difference:
    """Counts of what changed between two snapshots."""
    withdrawn = _missing(earlier, later) & gone(earlier)
    missing, withdrawn_count = _missing(earlier, later).count(), withdrawn.count()
    return Difference(
        added=_missing(later, earlier).count(),
        changed=_changed(earlier, later).count(),
        withdrawn=withdrawn_count,
        left=missing - withdrawn_count,
    )


def changes(earlier: Snapshot | None, later: Snapshot) -> Iterator[list[dict[str, Any]]]:
    """Every change as {"change", "kind", "id"}, in chunks: added, changed, withdrawn, left."""
    if earlier is None:
        yield from _told("added", later.records.order_by("pk"))
        return
    yield from _told("added", _missing(later, earlier).order_by("pk"))
    yield from _told("changed", _changed(earlier, later).order_by("pk"))
    withdrawn = (_missing(earlier, later) & gone(earlier)).order_by("pk")
    yield from _told("withdrawn", withdrawn)
    yield from _told("left", _missing(earlier, later).exclude(pk__in=gone(earlier).values("pk")).order_by("pk"))


def snapshots_with(record_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Snapshot]]:
    """The published snapshots that each of these records stands in, oldest first."""
    found: dict[uuid.UUID, list[Snapshot]] = {}
    records = SnapshotRecord.objects.filter(record_id__in=record_ids, snapshot__state="succeeded")
    for record in records.select_related("snapshot").order_by("snapshot__number"):
        found.setdefault(record.record_id, []).append(record.snapshot)
    return found


def snapshot_notes(submissions: Collection[uuid.UUID]) -> dict[uuid.UUID, list[ContributionNote]]:
    """For the contributions page: in which snapshots each stands, the newest first."""
    return {
        submission: [
            ContributionNote(
                _("In snapshot %(number)d.") % {"number": each.number}, each.get_absolute_url(), keeps_copy=True
            )
            for each in reversed(snapshots)
        ]
        for submission, snapshots in snapshots_with(submissions).items()
    }


def _missing(of: Snapshot, other: Snapshot) -> QuerySet[SnapshotRecord]:
    there = SnapshotRecord.objects.filter(snapshot=other, record_id=OuterRef("record_id"))
    return of.records.filter(~Exists(there))


def _changed(earlier: Snapshot, later: Snapshot) -> QuerySet[SnapshotRecord]:
    before = SnapshotRecord.objects.filter(snapshot=earlier, record_id=OuterRef("record_id"))
    return later.records.filter(Exists(before.exclude(version=OuterRef("version"))))


def _told(change: str, records: QuerySet[SnapshotRecord]) -> Iterator[list[dict[str, Any]]]:
    after = 0
    while chunk := list(records.filter(pk__gt=after).values_list("pk", "record_id", "is_vote")[:BATCH]):
        after = chunk[-1][0]
        yield [
            {"change": change, "kind": "vote" if is_vote else "submission", "id": str(record_id)}
            for _pk, record_id, is_vote in chunk
        ]
