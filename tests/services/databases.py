"""The test database: migrated once per run and then copied, for each test process and for installations that start.

Migrating takes seconds of a processor, and a run has several processes and a dozen installations. What a test committed
is undone by copying as well: Django would empty every table and seed them anew, which takes a third of a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from psycopg import sql

from portal.operations.seeding import seed

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
            if connection.vendor == "postgresql":
                _keep_rows()
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


def seeded_file(home: Path) -> Path | None:
    """The same once an installation with this STEELYARD_HOME's weights has seeded it."""
    with _migrated_database() as name:
        if connection.vendor != "sqlite":
            return None
        file: Path = settings.TEST_RUN_FOLDER / "seeded.sqlite3"
        if not file.exists():
            original, unfinished = connection.settings_dict["NAME"], file.with_suffix(".unfinished")
            shutil.copy(name, unfinished)
            _connect_to(str(unfinished))
            with override_settings(STEELYARD_HOME=home):
                seed()
            _connect_to(original)
            unfinished.rename(file)
        return file


def restore() -> None:
    """Make the default connection's database what it was when it was migrated, after a test that committed."""
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        # Nobody writes the migrated database, so it needs no lock, and no files of SQLite's beside it.
        source = sqlite3.connect(f"file:{connection.creation._get_test_db_name()}?immutable=1", uri=True)
        with contextlib.closing(source):
            source.backup(connection.connection)
        return
    # Django's foreign keys are checked when all of this is committed.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TABLES, ["public"])
        tables = [name for (name,) in cursor.fetchall()]
        has_rows = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
        cursor.execute(
            sql.SQL(" UNION ALL ").join(has_rows.format(sql.Literal(each), sql.Identifier(each)) for each in tables)
        )
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        cursor.execute(_TABLES, ["kept"])
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("INSERT INTO {0} SELECT * FROM kept.{0}").format(sql.Identifier(name)))


def drop_migrated_database() -> None:
    """At a run's end: SQLite's goes with the run's folder, but a server would keep it."""
    if _MARK.exists() and connection.vendor == "postgresql":
        name = sql.Identifier(settings.DATABASES["default"]["TEST"]["NAME"])
        with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'django_migrations'"


def _keep_rows() -> None:
    """In a schema of their own, a copy of the rows that migrating made."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA kept")
        cursor.execute(_TABLES, ["public"])
        for (name,) in cursor.fetchall():
            table = sql.Identifier(name)
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table))
            if cursor.fetchone() == (True,):
                cursor.execute(sql.SQL("CREATE TABLE kept.{0} AS TABLE public.{0}").format(table))


def _connect_to(name: str) -> None:
    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
