"""The commands of an installation's processes: what `manage.py up` supervises and the compose file runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings

from portal.private_folder import make_private_folder

QUEUES: Final = "generations,portal"
SCHEDULE_NAME: Final = "celerybeat-schedule"
WEB_GRACE_S: Final = 3
# Past its own grace a process is ended by force.
_SLACK_S: Final = 5.0
_EXPECTED_WARNINGS: Final = (
    # Celery says this to root because of pickled messages; ours are JSON.
    "You're running the worker with superuser privileges",
    # whitenoise hands its files over this way; they are small and in the page cache.
    "StreamingHttpResponse must consume synchronous iterators",
)


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running. `is_ready` says when it does its work; a restart calls `prepare` first."""

    name: str
    command: tuple[str, ...]
    grace_s: float
    environment: dict[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = lambda: True
    prepare: Callable[[], None] = lambda: None
    # Lines of its output that have one of these are not shown.
    unshown: tuple[str, ...] = ()


def web_command(host: str, port: int) -> tuple[str, ...]:
    """uvicorn on the ASGI application. Open token streams end after the grace, then their readers reconnect."""
    proxies: tuple[str, ...] = ("--no-proxy-headers",)
    if settings.FORWARDED_ALLOW_IPS:
        proxies = ("--proxy-headers", "--forwarded-allow-ips", settings.FORWARDED_ALLOW_IPS)
    return (
        *(sys.executable, "-m", "uvicorn", "portal.asgi:application"),
        *("--host", host, "--port", str(port)),
        *("--timeout-graceful-shutdown", str(WEB_GRACE_S)),
        *("--no-server-header", "--no-access-log", "--lifespan", "off", "--log-level", "warning"),
        *proxies,
    )


def worker_command() -> tuple[str, ...]:
    """A Celery worker of threads, so that many runs share one engine and one batch.

    Workers know of each other by their heartbeat rows, so Celery's own gossip, mingle and event heartbeats are off.
    """
    return (
        *(sys.executable, "-m", "celery", "--app", "portal", "--quiet", "worker"),
        *("--pool", "threads", "--concurrency", str(settings.WORKER_CONCURRENCY), "--queues", QUEUES),
        *("--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


def beat_command() -> tuple[str, ...]:
    """Celery beat, for scaled-out installations. Its file says to a health check that it runs."""
    schedule = settings.STEELYARD_HOME / SCHEDULE_NAME
    return (
        *(sys.executable, "-m", "celery", "--app", "portal", "--quiet", "beat"),
        *("--loglevel", "INFO", "--schedule", str(schedule), "--pidfile", ""),
    )


def forget_schedule() -> None:
    """Remove what an earlier beat left: one that was killed may have left half a file, which ends the next at once.

    Workers do by themselves what comes again, so nothing hangs on when it was last due. Raises OSError.
    """
    make_private_folder(settings.STEELYARD_HOME)
    # Some of Python's database modules write several files.
    for file in settings.STEELYARD_HOME.glob(f"{SCHEDULE_NAME}*"):
        file.unlink(missing_ok=True)


def commands() -> dict[str, tuple[str, ...]]:
    """Each process's command by its name, as configured now."""
    return {
        "web": web_command(settings.HOST, settings.PORT),
        "worker": worker_command(),
        "beat": beat_command(),
    }


def web_program(host: str, port: int, is_ready: Callable[[], bool]) -> Program:
    return Program(
        name="web",
        command=web_command(host, port),
        grace_s=WEB_GRACE_S + _SLACK_S,
        environment={"HOST": host, "PORT": str(port)},
        is_ready=is_ready,
    )


def worker_program(is_ready: Callable[[], bool]) -> Program:
    return Program(
        name="worker",
        command=worker_command(),
        grace_s=settings.GENERATION_SHUTDOWN_GRACE_S + _SLACK_S,
        is_ready=is_ready,
    )


def child_environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment, with output that is not held back in a buffer."""
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ",".join(f"ignore:{start}" for start in _EXPECTED_WARNINGS),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        **extra,
    }
