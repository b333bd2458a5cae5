"""`manage.py run`: what is done before it becomes the process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from portal.operations.programs import commands


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that it would have become."""
    became: list[tuple[str, ...]] = []
    monkeypatch.setattr(os, "execve", lambda _program, command, _environment: became.append(command))
    return became


def test_beat_begins_without_what_a_killed_one_left(
    become: list[tuple[str, ...]], settings: Any, tmp_path: Path
) -> None:
    settings.STEELYARD_HOME = tmp_path
    for name in ("celerybeat-schedule", "celerybeat-schedule.dat", "secret_key"):
        (tmp_path / name).touch()
    call_command("run", "beat")
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]
    assert become == [commands()["beat"]]


def test_beat_makes_a_home_that_is_not_there(become: list[tuple[str, ...]], settings: Any, tmp_path: Path) -> None:
    settings.STEELYARD_HOME = tmp_path / "home"
    call_command("run", "beat")
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert become


def test_a_home_that_cannot_be_made_is_named(become: list[tuple[str, ...]], settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.STEELYARD_HOME = tmp_path / "file"
    with pytest.raises(CommandError, match="Cannot write to"):
        call_command("run", "beat")
    assert not become
