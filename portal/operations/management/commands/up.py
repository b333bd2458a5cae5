"""`manage.py up`: everything an installation needs, in one terminal, until Ctrl-C."""

from __future__ import annotations

import secrets
import sys
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import supports_color
from django.db import connection
from django.utils import timezone

from portal.operations import diagnosis, home, readiness, web_server
from portal.operations.console import Console
from portal.operations.embedded_valkey import ValkeyUnavailable, valkey_program
from portal.operations.programs import web_program, worker_program
from portal.operations.seeding import seed
from portal.operations.supervisor import Stopped, Stopwatch, Supervisor, request_stop_on_signals

ADMIN_NAME = "admin"


class Command(BaseCommand):
    help = "Start Steelyard: embedded Valkey, migrations, seed, a Celery worker and the web server; Ctrl-C ends all."
    # `diagnosis` runs them and says its sentence.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.HOST, help="address to listen on (HOST, %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port to listen on (PORT, %(default)s)")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        try:
            # The lock lies in the home, so whether that can be written to comes first.
            diagnosis.writable_home()
            with home.locked_home():
                coloured = options["force_color"] or (supports_color() and not options["no_color"])
                Installation(Console(sys.stdout, coloured=coloured), host, port).run()
        except (diagnosis.Wrong, home.HomeInUse, ValkeyUnavailable) as error:
            raise CommandError(str(error)) from error


class Installation:
    """One run of everything on this machine."""

    def __init__(self, console: Console, host: str, port: int) -> None:
        self._console = console
        self._host, self._port = host, port
        self._password = ""

    def _say(self, text: str) -> None:
        self._console.line("up", text)

    @property
    def _url(self) -> str:
        host = web_server.reachable(self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def run(self) -> None:
        """Start everything, keep it running, end it in order. Raises Wrong when something cannot start."""
        for check in diagnosis.before_start(self._host, self._port):
            check.ask()
        stopwatch = Stopwatch()
        restore_signals = request_stop_on_signals(stopwatch)
        supervisor = Supervisor(self._console, stopwatch)
        try:
            self._start(supervisor, stopwatch)
            self._announce()
            supervisor.run_until_stopped()
        except Stopped:
            # Somebody who stops a first start early needs the password at the next.
            self._tell_password()
        finally:
            supervisor.stop()
            restore_signals()
        self._say("stopped")

    def _start(self, supervisor: Supervisor, stopwatch: Stopwatch) -> None:
        if settings.EMBEDDED_VALKEY:
            supervisor.add(valkey_program())
        if not home.weights_are_prepared():
            self._prepare_weights(supervisor)
        if missing := readiness.unapplied_migrations():
            self._say(f"applying {missing} migrations to the database")
            call_command("migrate", interactive=False, verbosity=0)
        if (seeded := seed()).has_changed:
            self._say(f"seeded: {seeded}")
        self._create_admin()
        connection.close()
        stopwatch.pause(0)
        if settings.EMBEDDED_VALKEY:
            supervisor.wait_until_ready("valkey")
        started = timezone.now()
        supervisor.add(worker_program(lambda: readiness.living_workers(started).exists()))
        supervisor.add(web_program(self._host, self._port, lambda: web_server.answers(self._host, self._port)))
        supervisor.wait_until_ready("web")
        supervisor.wait_until_ready("worker")

    def _prepare_weights(self, supervisor: Supervisor) -> None:
        self._say(f"preparing the weights of {home.WEIGHTS_NAME}, once")
        if supervisor.run_once(home.preparation_command()) != 0:
            raise diagnosis.Wrong(
                "The weights could not be prepared, for the reason above; `manage.py doctor` looks closer."
            )

    def _create_admin(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        if users.filter(username__iexact=ADMIN_NAME).exists():
            self._say(f"nobody is superuser and the name {ADMIN_NAME} is taken: run `manage.py createsuperuser`")
            return
        self._password = secrets.token_urlsafe(15)
        users.create_superuser(ADMIN_NAME, password=self._password)

    def _announce(self) -> None:
        self._say(f"Steelyard is ready: {self._url}/")
        self._tell_password()

    def _tell_password(self) -> None:
        if self._password:
            self._say(f"First start: sign in as {ADMIN_NAME} with the password {self._password} (shown this once)")
            self._password = ""
