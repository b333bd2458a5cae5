"""`manage.py seed_demo`: the model cards and questionnaires that come along; running it again changes nothing."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portal.operations.seeding import seed


class Command(BaseCommand):
    help = "Create the model cards and questionnaires that come along, where they are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        seeded = seed()
        self.stdout.write(json.dumps(seeded.counts) if options["json"] else str(seeded))
