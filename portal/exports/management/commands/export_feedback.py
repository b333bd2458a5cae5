"""`manage.py export_feedback`: a table as a file, with the API's filters and the API's rows."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from portal.exports.command_filters import add_filters, chosen_criteria, option_of
from portal.exports.criteria import Criteria, InvalidCriterion
from portal.exports.formats import FORMATS
from portal.exports.tables import TABLES
from portal.exports.writing import ExportReport, atomic_file, write_export

PROGRESS_EVERY_S: Final = 2.0


class Command(BaseCommand):
    help = "Write all of a table that was not withdrawn, oldest first; --table list says which there are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--table", choices=[*TABLES, "list"], default="feedback", metavar="TABLE", help="(%(default)s)"
        )
        parser.add_argument("--format", choices=sorted(FORMATS), default="jsonl", help="(%(default)s)")
        parser.add_argument("--output", default="-", metavar="FILE", help="file to write, - for standard output")
        parser.add_argument("--json", action="store_true", help="report rows, bytes and SHA-256 as one JSON object")
        parser.add_argument(
            "--progress", action="store_true", help="count first, and say on standard error how far it is"
        )
        add_filters(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["table"] == "list":
            for table in TABLES.values():
                self.stdout.write(f"{table.name:<18}{table.summary}")
            return
        try:
            criteria = chosen_criteria(options)
            report = self._write(criteria, options)
        except InvalidCriterion as error:
            raise CommandError(f"{option_of(error.parameter)}: {error.limit}") from error
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from error
        self._report(report, options)

    def _write(self, criteria: Criteria, options: dict[str, Any]) -> ExportReport:
        form = FORMATS[options["format"]]
        plan = TABLES[options["table"]].plan(criteria)
        self._expected = plan.expected() if plan.expected is not None and options["progress"] else None
        self._told_at = time.monotonic()
        self._tells = options["progress"]
        if options["output"] == "-":
            return write_export(plan, form, sys.stdout.buffer, self._progress)
        with atomic_file(Path(options["output"])) as file:
            return write_export(plan, form, file, self._progress)

    def _progress(self, rows: int) -> None:
        """On standard error, which is never the data: overwritten on a terminal, else a line now and then."""
        of = "" if self._expected is None else f" of about {self._expected}"
        if self.stderr.isatty():
            self.stderr.write(f"\r{rows}{of} rows", ending="")
        elif self._tells and time.monotonic() - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = time.monotonic()
            self.stderr.write(f"{rows}{of} rows")

    def _report(self, report: ExportReport, options: dict[str, Any]) -> None:
        # Standard output belongs to the data when they go there.
        stream = self.stderr if options["output"] == "-" else self.stdout
        if options["json"]:
            named = {name: options[name] for name in ("table", "format", "output")}
            stream.write(json.dumps({**named, **asdict(report)}))
        elif options["output"] != "-":
            stream.write(
                f"{options['output']}: {report.rows} rows of {options['table']}, {report.bytes} bytes, "
                f"SHA-256 {report.sha256}"
            )
