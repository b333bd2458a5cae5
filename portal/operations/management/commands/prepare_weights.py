"""`manage.py prepare_weights`: makes the model that comes along loadable in a second; nothing to do a second time."""

from __future__ import annotations

import subprocess
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal.operations import diagnosis, home


class Command(BaseCommand):
    help = "Prepare the weights of SmolLM2-135M-Instruct in STEELYARD_HOME, with a progress bar."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if home.weights_are_prepared():
            return
        try:
            diagnosis.writable_home()
            diagnosis.weights()
        except diagnosis.Wrong as wrong:
            raise CommandError(str(wrong)) from wrong
        if subprocess.run(home.preparation_command(), cwd=settings.BASE_DIR, check=False).returncode != 0:  # noqa: S603
            raise CommandError("The weights could not be prepared, for the reason above.")
