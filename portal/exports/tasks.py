"""What the broker wakes in the exports: the making of a snapshot, by its row's id."""

from __future__ import annotations

from celery import shared_task

from portal.catalog.job_run import work_on
from portal.exports.models import Snapshot
from portal.exports.snapshot_build import build


@shared_task(name=Snapshot.task)
def build_snapshot(pk: int) -> None:
    snapshot = Snapshot.objects.filter(pk=pk).first()
    if snapshot is not None:
        work_on(snapshot, lambda report: build(snapshot, report))
