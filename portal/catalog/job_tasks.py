"""What the broker wakes in the catalog: imports and readings of weights, by their rows' ids, and their sweep."""

from __future__ import annotations

from typing import Any, Final

from celery import shared_task, signals

from portal.accounts.worker_rounds import repeat_in_workers
from portal.catalog.job_dispatch import sweep_jobs, wake_next_measuring
from portal.catalog.job_models import Import, JobState, Reading, WeightReading
from portal.catalog.job_run import end_jobs, work_on
from portal.catalog.running_import import carry_out
from portal.catalog.running_reading import read

SWEEP_S: Final = 5.0


@shared_task(name=Import.task)
def run_import(pk: int) -> None:
    job = Import.objects.select_related("requested_by").filter(pk=pk).first()
    if job is not None:
        work_on(job, lambda report: carry_out(job, report))


@shared_task(name=WeightReading.task)
def read_weights(pk: int) -> None:
    job = WeightReading.objects.select_related("variant__base", "other__base").filter(pk=pk).first()
    if job is not None:
        work_on(job, lambda report: read(job, report))
        # Running: it was claimed here, so that it has ended now.
        if job.kind == Reading.MEASURING and job.state == JobState.RUNNING:
            wake_next_measuring()


@shared_task(name="catalog.sweep_jobs")
def sweep() -> None:
    sweep_jobs()


repeat_in_workers("sweep-jobs", SWEEP_S, sweep_jobs)


@signals.worker_shutting_down.connect
def end(**kwargs: Any) -> None:
    end_jobs()
