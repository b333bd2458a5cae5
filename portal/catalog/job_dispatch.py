"""Wakes workers for jobs, and mends what a lost worker or a lost message left behind."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from portal.catalog.job_models import Import, Job, JobState, Reading, WeightReading
from portal.catalog.weight_shelf import sweep_shelf

logger = logging.getLogger(__name__)

# Kinds of work that the sweep looks after; an app above adds its own when it is loaded (add_kind).
_kinds: Final[list[type[Job]]] = [Import, WeightReading]
MAX_LOST: Final = 3
BATCH: Final = 100
LONGEST_PAUSE_S: Final = 60.0
# A hung broker holds a publisher for seconds; the person who asked must not wait for it.
_publisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dispatch-jobs")


def add_kind(kind: type[Job]) -> None:
    """Have this kind of work swept too."""
    _kinds.append(kind)


def dispatch_soon(job: Job) -> None:
    """Once the current transaction commits, wake a worker for the job, in the background."""
    transaction.on_commit(lambda: _publisher.submit(publish, job.task, job.pk))


def publish(task: str, pk: int) -> bool:
    """Send the id; False, and a line in the log, when the broker did not take it."""
    try:
        current_app.send_task(task, args=[pk], retry=False, confirm_timeout=settings.REDIS_SOCKET_TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  each broker library raises its own; the row stays queued for the sweep
        logger.warning("%s %s waits for the sweep, the broker did not take it: %s", task, pk, error)
        return False
    return True


def wake_next_measuring() -> None:
    """A variant was measured: the next that waits for that need not wait for the sweep."""
    waiting = WeightReading.objects.filter(kind=Reading.MEASURING, state=JobState.QUEUED)
    following = waiting.order_by("created_at", "pk").first()
    if following is not None:
        publish(following.task, following.pk)


def sweep_jobs() -> None:
    """Requeue or fail what lost its worker, wake workers again for what waits. Each change is conditional."""
    for kind in _kinds:
        for job in kind.rows().filter(state=JobState.RUNNING, lease_expires_at__lt=timezone.now())[:BATCH]:
            if job.lost_leases + 1 >= MAX_LOST:
                job.expire_to_failed(f"The worker was lost {job.lost_leases + 1} times while it worked on this.")
            elif job.expire_to_queued():
                logger.warning("%s %s lost its worker and waits again", job.task, job.pk)
        for job in kind.rows().filter(state=JobState.QUEUED, dispatch_after__lte=timezone.now())[:BATCH]:
            pause_s = min(LONGEST_PAUSE_S, settings.GENERATION_REDISPATCH_S * 2 ** min(job.dispatches, 16))
            if job.take_for_dispatch(timedelta(seconds=pause_s)) and not publish(job.task, job.pk):
                return  # the broker is away: the next sweep goes on here
    sweep_shelf()
