"""Mend what a lost worker or a lost message left behind: expired leases and queued runs that nobody was woken for."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from portal.catalog.mailing import dispatch_due_mails
from portal.playground.dispatch import publish
from portal.playground.models import Generation, MaintenanceLease, State, WorkerHeartbeat
from portal.playground.retention import purge_conversations
from portal.playground.tallies import fold_tallies

logger = logging.getLogger(__name__)

SINGLE_FLIGHT: Final = timedelta(seconds=4)
BATCH: Final = 200
LONGEST_REDISPATCH_S: Final = 60.0
FORGET_WORKERS_AFTER: Final = timedelta(days=1)


def sweep_generations() -> None:
    """Requeue, fail or redispatch what is stuck. Every change is conditional, so that two sweeps at once are harmless;
    the single flight only saves work."""
    if not MaintenanceLease.take("sweep", SINGLE_FLIGHT):
        return
    now = timezone.now()
    _end_expired_leases(now)
    # Not the same moment: what was just requeued is due as well.
    _redispatch_stale(timezone.now())
    WorkerHeartbeat.objects.filter(seen_at__lt=now - FORGET_WORKERS_AFTER).delete()
    fold_tallies()
    purge_conversations()
    dispatch_due_mails()


def _end_expired_leases(now: datetime) -> None:
    expired = Generation.objects.filter(state=State.RUNNING, lease_expires_at__lt=now)
    for generation in expired.order_by("lease_expires_at")[:BATCH]:
        if generation.lost_leases + 1 >= settings.GENERATION_MAX_ATTEMPTS:
            message = f"The worker was lost {generation.lost_leases + 1} times while it wrote this answer."
            generation.expire_to_failed("worker_lost", message)
        elif generation.expire_to_queued():
            logger.warning("Generation %s lost its worker and is queued again", generation.pk)


def _redispatch_stale(now: datetime) -> None:
    stale = Generation.objects.select_related("variant").filter(state=State.QUEUED, dispatch_after__lte=now)
    for generation in stale.order_by("dispatch_after", "queued_at")[:BATCH]:
        # A long queue is no reason to send its messages ever again: the pause doubles.
        pause_s = min(LONGEST_REDISPATCH_S, settings.GENERATION_REDISPATCH_S * 2 ** min(generation.dispatches, 16))
        taken = Generation.objects.filter(
            pk=generation.pk, state=State.QUEUED, dispatches=generation.dispatches
        ).update(dispatches=F("dispatches") + 1, dispatch_after=now + timedelta(seconds=pause_s))
        if taken and not publish(generation.pk, generation.variant.queue):
            # The broker is away: the next sweep goes on, with this one last, and its pause has not grown by it.
            Generation.objects.filter(
                pk=generation.pk, state=State.QUEUED, dispatches=generation.dispatches + 1
            ).update(dispatches=generation.dispatches, dispatch_after=timezone.now())
            return
