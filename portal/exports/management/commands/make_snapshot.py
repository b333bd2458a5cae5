"""`manage.py make_snapshot`: what a maintainer does on the page, for what is done every night."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError

from portal.accounts.models import User
from portal.catalog.job_models import JobState
from portal.exports.command_filters import add_filters, chosen_criteria, option_of
from portal.exports.criteria import InvalidCriterion
from portal.exports.models import Salting, Snapshot
from portal.exports.services import start_snapshot
from portal.exports.tables import TABLES

LOOK_EVERY_S: Final = 0.5
WAIT_S: Final = 3_600
_OPTIONS: Final = {"tables": "--table", "redacts": "--redact"}


class Command(BaseCommand):
    help = "Have a worker make a snapshot, wait for it, and say its number. Ends with an error where it fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="username of the maintainer who asks for it")
        parser.add_argument("--title", required=True)
        parser.add_argument("--note", default="", help="what it is for; it stands in the dataset card")
        parser.add_argument(
            "--table", dest="tables", required=True, nargs="+", action="extend", choices=list(TABLES), metavar="TABLE",
            help=f"what it holds: {', '.join(TABLES)}",
        )  # fmt: skip
        parser.add_argument(
            "--salting", choices=Salting.values, default=Salting.OWN.value,
            help="pseudonyms of this snapshot's own, or those that the API and other such snapshots have",
        )  # fmt: skip
        parser.add_argument("--redact", action="store_true", help="replace what looks like personal data")
        waiting = parser.add_mutually_exclusive_group()
        waiting.add_argument("--no-wait", action="store_true", help="leave it to the worker, without its number")
        waiting.add_argument(
            "--timeout", type=_seconds, default=WAIT_S, metavar="SECONDS",
            help=f"how long to wait for it; 0 as long as it takes (default: {WAIT_S})",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="report as one JSON object")
        add_filters(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        snapshot = self._started(options)
        if not options["no_wait"]:
            self._wait(snapshot, options["timeout"])
        if options["json"]:
            self.stdout.write(json.dumps(_facts(snapshot)))
        elif snapshot.is_published:
            self.stdout.write(f"Snapshot {snapshot.number}: {len(snapshot.files) + 1} files, {snapshot.title}")
        else:
            self.stdout.write(f"A worker will make it: {snapshot.get_absolute_url()}")

    def _started(self, options: dict[str, Any]) -> Snapshot:
        try:
            return start_snapshot(
                User.objects.get(username__iexact=options["user"]),
                title=options["title"],
                note=options["note"],
                tables=options["tables"],
                criteria=chosen_criteria(options),
                salting=Salting(options["salting"]),
                redacts=options["redact"],
            )
        except User.DoesNotExist as error:
            raise CommandError(f"Nobody is called {options['user']!r} here.") from error
        except PermissionDenied as error:
            raise CommandError(f"{options['user']}: {error}") from error
        except InvalidCriterion as error:
            raise CommandError(f"{option_of(error.parameter)}: {error.limit}") from error
        except ValidationError as error:
            raise CommandError(_sentence(error)) from error

    def _wait(self, snapshot: Snapshot, limit_s: int) -> None:
        """Until it is published. Raises CommandError where it is not; stopped here, the worker goes on with it."""
        begun = time.monotonic()
        while snapshot.is_active:
            if limit_s and time.monotonic() - begun >= limit_s:
                raise CommandError(_why_it_takes_longer(snapshot, limit_s))
            time.sleep(LOOK_EVERY_S)
            snapshot.refresh_from_db()
        if not snapshot.is_published:
            why = "it was stopped" if snapshot.state == JobState.CANCELLED else snapshot.error
            raise CommandError(f"The snapshot was not made: {why}")


def _why_it_takes_longer(snapshot: Snapshot, limit_s: int) -> str:
    if snapshot.state == JobState.QUEUED:
        return (
            f"No worker took the snapshot within {limit_s} s: is one running? "
            f"It stays queued for the next one: {snapshot.get_absolute_url()}"
        )
    return f"The snapshot takes longer than {limit_s} s. The worker goes on with it: {snapshot.get_absolute_url()}"


def _seconds(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number of seconds from 0 on.")
    return int(text)


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "number": snapshot.number,
        "state": snapshot.state,
        "page": snapshot.get_absolute_url(),
        "rows": snapshot.manifest.get("rows", {}),
        "changes": snapshot.manifest.get("changes", {}),
    }


def _sentence(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(
        f"{_OPTIONS.get(name, option_of(name))}: {' '.join(messages)}" for name, messages in error.message_dict.items()
    )
