"""`manage.py seed_demo`: the model cards and questionnaires that come along; running it again changes nothing."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from portal.catalog.models import ModelCard, Variant
from portal.catalog.seed import seed_cards
from portal.feedback.models import Questionnaire
from portal.feedback.seed import seed_questionnaires


class Command(BaseCommand):
    help = "Create the model cards and questionnaires that come along, where they are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            seed_cards()
            seed_questionnaires()
        counts = {
            "cards": ModelCard.objects.count(),
            "variants": Variant.objects.count(),
            "questionnaires": Questionnaire.objects.count(),
        }
        if options["json"]:
            self.stdout.write(json.dumps(counts))
        else:
            self.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()))
