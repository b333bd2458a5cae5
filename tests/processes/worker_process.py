"""A real Celery worker in its own process, on the test's database and Valkey."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from portal.playground.models import WorkerHeartbeat

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60


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
        deadline = time.monotonic() + READY_WITHIN_S
        while not WorkerHeartbeat.objects.filter(
            worker_id__contains=f"-{self.process.pid}-", seen_at__gte=self._started_at
        ).exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, timeout_s: float = 20) -> float:
        """SIGTERM and wait; the seconds that it took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        self.process.wait(timeout_s)
        return time.monotonic() - began

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()


def process_environment(**extra: str) -> dict[str, str]:
    """For a process on the test's database and Valkey, with short leases."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": database_url(),
        "TEST_REDIS_URL": settings.REDIS_URL,
        "TEST_BROKER_URL": settings.CELERY_BROKER_URL,
        "GENERATION_LEASE_S": "2",
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
