"""Whether this installation can serve: database, migrations, stores and a living worker, each by one cheap question.

`/readyz`, the status page, `doctor` and `up` ask here. Anyone may read the answers: they name no address, no secret.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu import Connection
from kombu.exceptions import OperationalError

from portal.environment import server_at
from portal.operations.embedded_valkey import ping
from portal.playground.models import WorkerHeartbeat

HEARTBEAT_WITHIN: Final = timedelta(seconds=15)
_BROKER_TIMEOUT_S: Final = 2
# Some of SQLite's write-ahead log, which grows by a few kilobytes with each run.
_ROOM_TO_WRITE: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that must work, whether it does, and in one sentence what was seen."""

    name: str
    ok: bool
    detail: str

    @property
    def title(self) -> str:
        """The part's name for people."""
        titles = {
            "database": _("Database"),
            "migrations": _("Database schema"),
            "store": _("Token streams"),
            "broker": _("Broker"),
            "worker": _("Workers"),
        }
        return titles[self.name]


def readiness(patience_s: int | None = None) -> list[Part]:
    """Every part, those that need the database only while it answers. `patience_s` as for `database`."""
    parts = [database(patience_s), store()]
    if broker_is_separate():
        parts.append(broker())
    if parts[0].ok:
        parts.append(migrations())
    if parts[-1].ok and parts[-1].name == "migrations":
        parts.append(worker())
    else:
        parts.append(Part("worker", ok=False, detail=_("Unknown while the database is not ready.")))
    return parts


def database(patience_s: int | None = None) -> Part:
    """With `patience_s`, a server that does not answer is found out in so many seconds (at least 2), by a connection of
    its own: the pool would wait for ten, and a query to one that stands still has no end."""
    try:
        if patience_s is not None:
            _require_server(patience_s)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return Part("database", ok=False, detail=_("The database does not answer."))
    try:
        if not _has_room_to_write():
            return Part("database", ok=False, detail=_("The database answers, but its disk is full."))
    except OSError as error:
        told = _("The database answers, but its disk does not tell how much is free: %(reason)s.")
        return Part("database", ok=False, detail=told % {"reason": error.strerror})
    return Part("database", ok=True, detail=_("The database answers."))


def _require_server(patience_s: int) -> None:
    """Raises DatabaseError unless somebody can sign in to the server now; a file has none."""
    if connection.vendor == "sqlite":
        return
    direct = connection.copy()
    direct.settings_dict["OPTIONS"].pop("pool", None)
    direct.settings_dict["OPTIONS"]["connect_timeout"] = patience_s
    try:
        direct.ensure_connection()
    finally:
        direct.close()


def _has_room_to_write() -> bool:
    """Whether a file of a database can grow; another server's disk is its own to look at. Raises OSError."""
    file = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor != "sqlite" or not file.is_file():
        return True
    return shutil.disk_usage(file.parent).free >= _ROOM_TO_WRITE


def migrations() -> Part:
    try:
        missing = unapplied_migrations()
    except DatabaseError:
        return Part("migrations", ok=False, detail=_("The database does not answer."))
    if missing:
        return Part("migrations", ok=False, detail=_("%(count)d migrations are missing.") % {"count": missing})
    return Part("migrations", ok=True, detail=_("Every migration is applied."))


def unapplied_migrations() -> int:
    """How many migrations of this code the database lacks. Raises DatabaseError."""
    return len(_migrations_of_code() - MigrationRecorder(connection).applied_migrations().keys())


@cache
def _migrations_of_code() -> frozenset[tuple[str, str]]:
    # Read once: the code of a running process does not change.
    return frozenset(MigrationLoader(None).graph.nodes)


def store() -> Part:
    if ping(settings.REDIS_URL):
        return Part("store", ok=True, detail=_("The store of token streams answers."))
    return Part("store", ok=False, detail=_("The store of token streams (Valkey or Redis) does not answer."))


def broker_is_separate() -> bool:
    """Whether the broker is another server than the store, or is entered by another account, and so may fail alone.

    The number of a database says nothing: one server has them all.
    """
    return server_at(settings.CELERY_BROKER_URL) != server_at(settings.REDIS_URL)


def broker() -> Part:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "connect_timeout": _BROKER_TIMEOUT_S}
    try:
        with Connection(
            settings.CELERY_BROKER_URL, connect_timeout=_BROKER_TIMEOUT_S, transport_options=options
        ) as candidate:
            candidate.ensure_connection(max_retries=1, interval_start=0, timeout=_BROKER_TIMEOUT_S)
    except (OperationalError, OSError):
        return Part("broker", ok=False, detail=_("The broker does not answer."))
    return Part("broker", ok=True, detail=_("The broker answers."))


def worker() -> Part:
    seen = living_workers().count()
    if not seen:
        return Part("worker", ok=False, detail=_("No worker said in the last 15 seconds that it is alive."))
    return Part("worker", ok=True, detail=_("Workers alive: %(count)d.") % {"count": seen})


def living_workers(started_since: datetime | None = None) -> QuerySet[WorkerHeartbeat]:
    """Workers that were heard of lately, optionally only those that started since a moment."""
    living = WorkerHeartbeat.objects.filter(seen_at__gte=timezone.now() - HEARTBEAT_WITHIN)
    return living.filter(started_at__gte=started_since) if started_since else living
