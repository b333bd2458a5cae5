"""A worker's inside for jobs: claim one, keep its lease while it is worked on, write how it ended."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from portal.catalog.job_models import Import, Job

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=30)
# Progress is written, and a wish to cancel is heard, so often; a lease outlives many rounds.
ROUND_S: Final = 0.5
WORKER_ID: Final = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"

_worker_ends = threading.Event()


class JobStopped(Exception):
    """The work is to end now; raised out of `report`."""


class JobFailed(Exception):
    """The work cannot be done; the message is a sentence for the person who asked."""


def end_jobs() -> None:
    """The worker ends: each job stops at its next report and goes back to the queue."""
    _worker_ends.set()


def work_on(job: Job, do: Callable[[Callable[[str, int, int], None]], dict[str, Any]]) -> None:
    """Claim the job and do it; `do` gets what it reports progress to, and returns the result's columns."""
    if not job.claim(WORKER_ID, LEASE):
        return
    with _Lease(job) as lease:
        try:
            try:
                result = do(lease.report)
            finally:
                lease.settle()
        except JobStopped:
            if lease.is_cancelled:
                job.stop()
            elif not lease.is_lost:
                job.release()
        except JobFailed as error:
            job.fail(str(error))
        except OSError as error:
            job.fail(f"{error.filename or 'A file'}: {error.strerror or error}.")
        except Exception:
            logger.exception("Job %s %s failed", type(job).__name__, job.pk)
            job.fail("Something went wrong here. The operator's log says what.")
        else:
            job.succeed(**result, stage="", done=0, total=0)


class _Lease:
    """Renews a job's lease beside the work, writes its progress, and hears whether it is still wanted."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._progress: tuple[str, int, int] = ("", 0, 0)
        self._log: list[list[str]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{job.pk}", daemon=True)
        self.is_cancelled = False
        self.is_lost = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def report(self, stage: str, done: int, total: int) -> None:
        """Say how far the work is. Raises JobStopped when it is not wanted any more."""
        if stage != self._progress[0]:
            self._log.append([timezone.now().isoformat(timespec="seconds"), stage])
        self._progress = (stage, done, total)
        if self.is_cancelled or self.is_lost or _worker_ends.is_set():
            raise JobStopped

    def settle(self) -> None:
        """Write the log of a work that is over: what took less than a round stands there, too."""
        if isinstance(self._job, Import) and not self.is_lost:
            with suppress(DatabaseError, InterfaceError):
                self._round()

    def _renew(self) -> None:
        while not self._over.wait(ROUND_S):
            try:
                self._round()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("Job %s waits for the database: %s", self._job.pk, error)
                connection.close()
        connection.close()

    def _round(self) -> None:
        stage, done, total = self._progress
        columns: dict[str, Any] = {"stage": stage, "done": done, "total": total}
        if isinstance(self._job, Import):
            columns["log"] = list(self._log)
        if not self._job.renew(LEASE, **columns):
            self.is_lost = True
            return
        rows = self._job.rows().filter(pk=self._job.pk)
        self.is_cancelled = rows.filter(cancel_requested_at__isnull=False).exists()
