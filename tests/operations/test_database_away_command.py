"""Commands that need the database say in one sentence that it is not prepared, or away, and what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import ConnectionHandler, OperationalError
from pytest_django import DjangoDbBlocker

from portal.operations import diagnosis, readiness
from tests.services.installation import free_port, manage

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    "command",
    [
        ("worker_alive",),
        ("create_token", "--user", "admin", "--scope", "read"),
        ("export_feedback",),
    ],
)
def test_a_database_that_was_never_prepared_is_named_with_what_prepares_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = manage(tmp_path, *command)
    assert ended.returncode == 1
    assert "migrations are missing in the database: run `manage.py migrate`" in ended.stderr
    assert "(no such table: " in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nobody = free_port()
    ended = manage(tmp_path, "seed_demo", DATABASE_URL=f"postgresql://me:secret@127.0.0.1:{nobody}/steelyard")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("CommandError: The database does not answer")
    assert "DATABASE_URL" in ended.stderr
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_who_asks_for_a_traceback_has_it(tmp_path: Path) -> None:
    ended = manage(tmp_path, "worker_alive", "--traceback")
    assert ended.returncode == 1
    assert "no such table" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["migrate", "up"])
def test_a_migration_that_fails_says_why_itself(tmp_path: Path, command: str) -> None:
    with closing(sqlite3.connect(tmp_path / "steelyard.sqlite3")) as database:
        database.execute("CREATE TABLE catalog_modelcard (id integer)")
    ended = manage(tmp_path, command, PORT=str(free_port()))
    assert ended.returncode == 1
    assert 'table "catalog_modelcard" already exists' in ended.stderr.splitlines()[-1]
    assert "migrations are missing" not in ended.stderr


def test_a_missing_column_within_a_migration_is_not_told_to_migrate(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = OperationalError("no such column: cards.name")

    def fail(*_arguments: object) -> None:
        raise missed

    monkeypatch.setattr(readiness, "unapplied_migrations", lambda: 43)
    assert diagnosis.why_the_database_fails(missed).endswith("(no such column: cards.name).")
    monkeypatch.setattr(migrate, "MigrationExecutor", fail)
    with pytest.raises(OperationalError) as raised:
        call_command("migrate")
    assert diagnosis.why_the_database_fails(raised.value) == ""


@pytest.mark.parametrize(("content", "words"), [(b"", "another process holds it"), (b"no database" * 99, "a backup")])
def test_a_file_that_cannot_be_opened_is_told_by_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker, content: bytes, words: str
) -> None:
    file = tmp_path / "steelyard.sqlite3"
    file.write_bytes(content)
    options = {"timeout": 0, "init_command": "PRAGMA journal_mode=WAL"}
    configured = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "OPTIONS": options}}
    monkeypatch.setattr(diagnosis, "connection", ConnectionHandler(configured)["default"])
    with closing(sqlite3.connect(file, isolation_level=None)) as holder, django_db_blocker.unblock():
        if not content:
            holder.execute("CREATE TABLE held (id integer)")
            holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(diagnosis.Wrong, match=words) as wrong:
            diagnosis.database()
    assert "right to write" not in str(wrong.value)
