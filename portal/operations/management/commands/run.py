"""`manage.py run web|worker|beat`: becomes one process of an installation that something else supervises."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.operations.programs import child_environment, commands, forget_schedule


class Command(BaseCommand):
    help = "Become the web server, a Celery worker or Celery beat. `up` runs the first two and what they need."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("process", choices=sorted(commands()))

    def handle(self, *args: Any, process: str, **options: Any) -> None:
        if process == "beat":
            try:
                forget_schedule()
            except OSError as error:
                raise CommandError(f"Cannot write to {settings.STEELYARD_HOME}: {error.strerror}.") from error
        command = commands()[process]
        # The process id and its signals become the program's own.
        os.execve(command[0], command, child_environment({}))  # noqa: S606
