"""`manage.py doctor`: looks at everything that can keep an installation from running and says what is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.operations import diagnosis


class Command(BaseCommand):
    help = "Check this installation, part by part. Exit status 1 when something is wrong."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.HOST, help="address that `up` would listen on (%(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port of the same (%(default)s)")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        findings = []
        for finding in diagnosis.findings(diagnosis.everything(host, port)):
            findings.append(finding)
            if not options["json"]:
                mark = self.style.SUCCESS("ok   ") if finding.ok else self.style.ERROR("wrong")
                self.stdout.write(f"{mark}  {finding.name:<10}  {finding.detail}")
        wrong = sum(not finding.ok for finding in findings)
        if options["json"]:
            document = {"ok": not wrong, "checks": [asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(document, indent=2))
        if wrong:
            raise CommandError(f"{wrong} of {len(findings)} checks found something wrong.")
