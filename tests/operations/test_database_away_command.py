"""Commands that need the database say in one sentence that it is not prepared, or away, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

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
