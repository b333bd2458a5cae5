"""What `make` says on a machine that lacks something: one sentence, and no success."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services.installation import ROOT

INTERPRETERS = ("python3.13", "python3.12", "python3.11", "python3")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without .venv, with a folder of commands that come before the machine's own."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    return tmp_path


def put_command(checkout: Path, name: str, script: str) -> None:
    command = checkout / "bin" / name
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)


def make(checkout: Path, *arguments: str) -> str:
    """The last line on stderr before make's own, of a make that must fail."""
    path = f"{checkout / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    ended = subprocess.run(
        ["make", *arguments],
        cwd=checkout,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0, ended.stdout
    said = [line for line in ended.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1, ended.stderr
    return said[0]


def test_without_a_new_enough_python_it_says_which_is_needed(checkout: Path) -> None:
    for name in INTERPRETERS:
        put_command(checkout, name, "exit 1")
    assert make(checkout, "run") == (
        "Steelyard needs Python 3.11 or newer: install it, or name it with make run PYTHON=/path/to/python3."
    )
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_named(checkout: Path) -> None:
    for name in INTERPRETERS:
        put_command(checkout, name, 'case "$2" in *ensurepip*) exit 1;; esac')
    assert "has no venv module" in make(checkout, "setup")


def test_a_full_disk_is_said_before_anything_is_installed(checkout: Path) -> None:
    for name in INTERPRETERS:
        put_command(checkout, name, "exit 0")
    put_command(checkout, "df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/x 9 9 120000 9%% /\\n'")
    assert make(checkout, "setup") == (
        "Only 120 MB are free here and the installation needs 3000 MB: make room and run make again."
    )


def test_an_installation_that_fails_says_why_and_is_tried_again_next_time(checkout: Path) -> None:
    venv = checkout / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text("#!/bin/sh\necho 'ERROR: No matching distribution found for torch==2.13.0'\nexit 1\n")
    (venv / "python").chmod(0o755)
    ended = subprocess.run(["make", "setup"], cwd=checkout, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "ERROR: No matching distribution found for torch==2.13.0" in ended.stderr
    assert "The installation failed, for the reason above" in ended.stderr
    assert not (checkout / ".venv" / ".installed").exists()
