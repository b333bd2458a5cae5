"""A real Celery worker in its own process, on the test's database and Valkey."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from portal.playground.models import Generation, WorkerHeartbeat
from tests.services.installation import ROOT, START_WITHIN_S, eventually


class WorkerProcess:
    def __init__(self, log: Path, **environment: str) -> None:
        self.log = log
        self._started_at = timezone.now()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "portal", "worker", "--pool", "threads", "--concurrency", "16",
                 "--queues", "generations,portal", "--loglevel", "INFO", "--without-gossip", "--without-mingle"],
                cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env=process_environment(**environment),
            )  # fmt: skip

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            heartbeats = WorkerHeartbeat.objects.filter(worker_id__contains=f"-{self.process.pid}-")
            return heartbeats.filter(seen_at__gte=self._started_at).exists()

        eventually(is_ready, START_WITHIN_S, "the worker is ready")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Not in the middle of a write, since that would hold everybody else's up."""
        with transaction.atomic():
            list(Generation.objects.select_for_update())
            self.process.send_signal(signal.SIGSTOP)
            eventually(
                lambda: psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED, 30, "it stands still"
            )

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self, within_s: float = 60) -> None:
        """SIGTERM, and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(within_s)

    def end(self) -> None:
        if self.process.poll() is None:
            self.kill()


# As in an installation, for tests about a Valkey that does not answer.
IMPATIENT = {"TEST_REDIS_TIMEOUT_S": "3", "TEST_QUEUE_PATIENCE_S": "5"}


def process_environment(**extra: str) -> dict[str, str]:
    """For a process on the test's database and Valkey, which a busy machine may let stand for seconds unharmed.

    What is lost only counts as lost when a test says so: `lost_lease`, or shorter times in `extra`.
    """
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": database_url(),
        "TEST_REDIS_URL": settings.REDIS_URL,
        "TEST_BROKER_URL": settings.CELERY_BROKER_URL,
        "TEST_QUEUE_PATIENCE_S": "60",
        "TEST_REDIS_TIMEOUT_S": "30",
        "GENERATION_LEASE_S": "60",
        "GENERATION_REDISPATCH_S": "1",
        "GENERATION_SHUTDOWN_GRACE_S": "1",
        **extra,
    }


def database_url() -> str:
    """The test database of this process, as a URL."""
    parts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{parts['NAME']}"
    return f"postgresql://{parts['USER']}@/{parts['NAME']}?host={parts['HOST'] or parts['OPTIONS'].get('host', '')}"
