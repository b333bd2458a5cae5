"""`manage.py doctor` looks at everything and names what is wrong, one line each."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.services.installation import free_port, manage

pytestmark = pytest.mark.processes


def test_a_home_that_was_never_started_is_in_order(tmp_path: Path) -> None:
    report = manage(tmp_path, "doctor", "--port", str(free_port()))
    assert report.returncode == 0, report.stdout + report.stderr
    lines = report.stdout.splitlines()
    assert len(lines) == 12
    assert all(line.startswith("ok ") for line in lines)


def test_each_wrong_thing_is_said_and_the_others_still_looked_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        report = manage(
            tmp_path, "doctor", "--json",
            PORT=str(other.getsockname()[1]),
            DATABASE_URL=f"postgresql://steelyard@127.0.0.1:{free_port()}/steelyard",
            REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
            CELERY_BROKER_URL=f"amqp://guest@127.0.0.1:{free_port()}//",
        )  # fmt: skip
    assert report.returncode == 1
    document = json.loads(report.stdout)
    assert document["ok"] is False
    wrong = {check["name"] for check in document["checks"] if not check["ok"]}
    assert wrong == {"valkey", "broker", "database", "port", "migrations"}
    assert report.stderr.strip() == "CommandError: 5 of 12 checks found something wrong."


def test_a_home_that_cannot_be_used_is_said_without_a_traceback(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    report = manage(in_the_way, "doctor", "--port", str(free_port()))
    assert report.returncode == 1
    assert f"wrong  home        Cannot write to {in_the_way}" in report.stdout
    assert "Traceback" not in report.stderr
