"""What an `up` that runs looks like from outside; nothing here changes it."""

from __future__ import annotations

import json

import psutil
import pytest
import redis

from tests.operations.test_up_processes import socket_url
from tests.services.installation import Installation, manage

pytestmark = [pytest.mark.processes, pytest.mark.weights]


def test_neither_up_nor_web_loads_torch(portal: Installation) -> None:
    for process in (psutil.Process(portal.process.pid), portal.named("uvicorn")):
        assert not [mapped.path for mapped in process.memory_maps() if "libtorch" in mapped.path]
    assert [mapped for mapped in portal.named("celery").memory_maps() if "libtorch" in mapped.path]


def test_a_second_up_in_the_same_home_is_refused_in_one_sentence(portal: Installation) -> None:
    refused = manage(portal.home, "up", "--port", str(portal.port))
    assert refused.returncode == 1
    assert refused.stderr.strip().count("\n") == 0
    assert f"(process {portal.process.pid})" in refused.stderr
    assert portal.readiness()["ready"] is True


def test_the_embedded_valkey_is_open_to_this_user_alone_and_keeps_every_write(portal: Installation) -> None:
    assert (portal.home / "valkey").stat().st_mode & 0o777 == 0o700
    with redis.Redis.from_url(socket_url(portal)) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_doctor_finds_everything_in_order_while_it_runs(portal: Installation) -> None:
    report = manage(portal.home, "doctor", "--json", "--port", str(portal.port))
    assert report.returncode == 0, report.stdout
    document = json.loads(report.stdout)
    assert document["ok"] is True
    seen = {check["name"]: check["detail"] for check in document["checks"]}
    assert seen["worker"] == "Workers alive: 1."
    assert seen["port"] == f"Steelyard runs already (process {portal.process.pid})."
