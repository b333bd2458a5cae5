"""The test database: migrated once per run and then copied, for each test process and for installations that start.

Migrating takes seconds of a processor, and a run has several processes and a dozen installations.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql

# There as soon as the migrated database is whole.
_MARK: Path = settings.TEST_RUN_FOLDER / "migrated"


@contextlib.contextmanager
def _migrated_database() -> Iterator[str]:
    """The name of the run's migrated database, made by whichever process asks first. Nothing else asks meanwhile.

    It is there to be copied, which PostgreSQL allows while nobody is connected to it.
    """
    with (settings.TEST_RUN_FOLDER / "migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _MARK.exists():
            original = connection.settings_dict["NAME"]
            connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
            _connect_to(original)
            _MARK.touch()
        yield connection.creation._get_test_db_name()


def connect_to_copy(process: str) -> str:
    """Let the default connection use a migrated database of this process's own; the name of the one it had before."""
    original = str(connection.settings_dict["NAME"])
    with _migrated_database() as migrated:
        _connect_to(migrated)
        connection.creation.clone_test_db(process, verbosity=0, autoclobber=True)
        _connect_to(connection.creation.get_test_db_clone_settings(process)["NAME"])
    return original


def migrated_file() -> Path | None:
    """The migrated database where it is SQLite's, for copies; None where it is another's."""
    with _migrated_database() as name:
        return Path(name) if connection.vendor == "sqlite" else None


def drop_migrated_database() -> None:
    """At a run's end: SQLite's goes with the run's folder, but a server would keep it."""
    if _MARK.exists() and connection.vendor == "postgresql":
        name = sql.Identifier(settings.DATABASES["default"]["TEST"]["NAME"])
        with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))


def _connect_to(name: str) -> None:
    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
