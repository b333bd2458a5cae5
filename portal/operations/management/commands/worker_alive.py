"""`manage.py worker_alive`: whether this host's Celery worker was heard of lately, for a container's health check."""

from __future__ import annotations

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.operations.readiness import HEARTBEAT_WITHIN, living_workers


class Command(BaseCommand):
    help = "Exit status 0 when a worker on this host said lately that it is alive, else 1."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        host = socket.gethostname()
        if not living_workers().filter(hostname=host).exists():
            raise CommandError(f"No worker on {host} said in the last {HEARTBEAT_WITHIN.seconds} s that it is alive.")
