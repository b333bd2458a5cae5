"""A worker's pulse: renew leases, notice cancellations and lost claims, say that it lives, sweep."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from inference.events import Failed, FailureCode
from portal.accounts.idle_connections import give_connection_back
from portal.playground.active_run import ActiveRun
from portal.playground.models import Generation, State, WorkerHeartbeat
from portal.playground.sweep import sweep_generations
from portal.playground.worker import GenerationWorker

logger = logging.getLogger(__name__)

TICK_S: Final = 0.25
HEARTBEAT_S: Final = 5.0
SWEEP_S: Final = 5.0
RENEWALS_PER_LEASE: Final = 4
# Deadlines are the engine's to keep. One that hangs must not keep its runs for ever by renewed leases.
ENGINE_SILENCE_S: Final = 30.0


class Keeper:
    """Two threads beside the engines: the pulse, which never waits for a broker, and the sweep, which may.

    An error costs one round, never the thread.
    """

    def __init__(self, worker: GenerationWorker, queues: Sequence[str]) -> None:
        self._worker = worker
        self._queues = list(queues)
        self._started_at = timezone.now()
        self._stopping = threading.Event()
        self._is_ready = threading.Event()
        self._due = {"renew": 0.0, "heartbeat": 0.0}
        self._threads = [
            threading.Thread(target=self._repeat, args=(TICK_S, self._tick), name="keeper", daemon=True),
            threading.Thread(target=self._repeat, args=(SWEEP_S, sweep_generations), name="sweep", daemon=True),
        ]

    def start(self) -> None:
        """Keep leases from the first claim on, which may come before all weights are loaded."""
        for thread in self._threads:
            thread.start()

    def say_ready(self) -> None:
        """The weights are loaded: from now on the worker counts as living."""
        self._is_ready.set()

    def stop(self) -> None:
        """End the threads and take the worker off the list of the living."""
        self._stopping.set()
        self._threads[0].join(settings.GENERATION_LEASE_S)
        try:
            WorkerHeartbeat.objects.filter(pk=self._worker.worker_id).delete()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The heartbeat is left to expire: %s", error)

    def _repeat(self, interval_s: float, job: Callable[[], None]) -> None:
        name = threading.current_thread().name
        while not self._stopping.wait(interval_s):
            try:
                job()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("The worker's %s waits for the database: %s", name, error)
                connection.close()
            except Exception:
                logger.exception("The worker's %s goes on after an error", name)
            if not self._worker.active_runs():
                give_connection_back()
        connection.close()

    def _tick(self) -> None:
        runs = self._worker.active_runs()
        if runs:
            if self._is_due("renew", settings.GENERATION_LEASE_S / RENEWALS_PER_LEASE):
                self._renew(runs)
            self._obey_rows(runs)
        if self._is_ready.is_set() and self._is_due("heartbeat", HEARTBEAT_S):
            self._beat()

    def _is_due(self, job: str, interval_s: float) -> bool:
        now = time.monotonic()
        if now < self._due[job]:
            return False
        self._due[job] = now + interval_s
        return True

    def _renew(self, runs: list[ActiveRun]) -> None:
        Generation.objects.filter(
            pk__in=[run.generation.pk for run in runs], claimed_by=self._worker.worker_id, state=State.RUNNING
        ).update(lease_expires_at=timezone.now() + timedelta(seconds=settings.GENERATION_LEASE_S))

    def _obey_rows(self, runs: list[ActiveRun]) -> None:
        """Stop what was cancelled, drop what is no longer ours."""
        rows: dict[object, tuple[int, str, datetime | None]] = {
            pk: (attempt, state, cancel_requested_at)
            for pk, attempt, state, cancel_requested_at in Generation.objects.filter(
                pk__in=[run.generation.pk for run in runs]
            ).values_list("pk", "attempt", "state", "cancel_requested_at")
        }
        for run in runs:
            if time.monotonic() - run.claimed_at > settings.GENERATION_DEADLINE_S + ENGINE_SILENCE_S:
                logger.error("The engine did not end generation %s at its deadline", run.generation.pk)
                run.record(Failed(FailureCode.INTERNAL, "The engine did not answer in time. Please try again."))
            if run.is_lost or run.ended.is_set():
                continue
            attempt, state, cancel_requested_at = rows.get(run.generation.pk, (0, "", None))
            if attempt != run.generation.attempt or state != State.RUNNING:
                self._worker.lose(run)
            elif cancel_requested_at is not None:
                run.engine.cancel(run.run_id)

    def _beat(self) -> None:
        WorkerHeartbeat.objects.update_or_create(
            pk=self._worker.worker_id,
            defaults={
                "hostname": socket.gethostname(),
                "queues": self._queues,
                "capacity": settings.WORKER_CONCURRENCY,
                "started_at": self._started_at,
                "seen_at": timezone.now(),
            },
        )
