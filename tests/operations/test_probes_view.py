"""`/healthz` asks nothing, `/readyz` names what is missing, and neither needs a host, a session or HTTPS."""

from __future__ import annotations

import errno
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from portal.operations import readiness
from portal.playground.models import WorkerHeartbeat


@pytest.fixture
def store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ping", lambda url: True)


def heartbeat(age_s: float) -> WorkerHeartbeat:
    now = timezone.now()
    return WorkerHeartbeat.objects.create(
        worker_id=f"w{age_s}", hostname="h", capacity=16, started_at=now, seen_at=now - timedelta(seconds=age_s)
    )


def test_healthz_asks_no_database_and_no_host(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = client.get("/healthz", headers={"host": "10.0.0.7:8000"})
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies


def test_probes_answer_under_asgi_too(async_client: AsyncClient, db: None, store_answers: None) -> None:
    heartbeat(age_s=3)
    assert async_to_sync(async_client.get)("/healthz").status_code == 200
    assert async_to_sync(async_client.get)("/readyz").status_code == 200
    assert async_to_sync(async_client.get)("/accounts/login/").status_code == 200


def test_readyz_is_ready_with_database_store_and_a_living_worker(
    client: Client, db: None, store_answers: None, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    heartbeat(age_s=3)
    with django_assert_max_num_queries(4):
        answer = client.get("/readyz", headers={"host": "10.0.0.7:8000"})
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert answer.json()["missing"] == []
    assert set(answer.json()["parts"]) == {"database", "store", "migrations", "worker"}
    assert not Session.objects.exists()


def test_readyz_says_that_no_worker_was_heard_of_for_15_seconds(client: Client, db: None, store_answers: None) -> None:
    heartbeat(age_s=16)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["worker"]


def test_readyz_says_that_the_store_does_not_answer(client: Client, db: None, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    settings.CELERY_BROKER_URL = "redis+socket:///nonexistent/valkey.sock?virtual_host=0"
    heartbeat(age_s=1)
    assert client.get("/readyz").json()["missing"] == ["store"]


def test_readyz_says_that_migrations_are_missing(
    client: Client, db: None, store_answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat(age_s=1)
    monkeypatch.setattr(readiness, "_migrations_of_code", lambda: frozenset({("feedback", "9999_future")}))
    assert client.get("/readyz").json()["missing"] == ["migrations", "worker"]


def test_readyz_answers_without_a_database(
    client: Client, db: None, store_answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def cursor(self) -> None:
            raise DatabaseError("away")

    monkeypatch.setattr(readiness, "connection", Away())
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["database", "worker"]
    assert "away" not in answer.content.decode()


def test_readyz_says_that_a_file_of_a_database_has_no_room_left(
    client: Client, db: None, store_answers: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "steelyard.sqlite3"
    file.touch()

    class OnFile:
        vendor = "sqlite"
        settings_dict: ClassVar[dict[str, Path]] = {"NAME": file}
        cursor = connection.cursor

    heartbeat(age_s=1)
    monkeypatch.setattr(readiness, "connection", OnFile)
    monkeypatch.setattr(readiness, "MigrationRecorder", lambda _connection: MigrationRecorder(connection))
    assert client.get("/readyz").status_code == 200
    monkeypatch.setattr(readiness.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=4096))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["database", "worker"])
    assert answer.json()["parts"]["database"]["detail"] == "The database answers, but its disk is full."

    def refuse(_folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(readiness.shutil, "disk_usage", refuse)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["database", "worker"])
    assert answer.json()["parts"]["database"]["detail"].endswith("how much is free: Permission denied.")


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("amqp://guest@127.0.0.1:1//", {"confirm_publish": True}),
        ("redis+socket:///nonexistent/broker.sock?virtual_host=0", {"socket_connect_timeout": 3}),
        ("redis://127.0.0.1:1/0", {"socket_connect_timeout": 3}),
    ],
)
def test_a_broker_of_its_own_is_asked_too(
    client: Client, db: None, store_answers: None, settings: Settings, url: str, options: dict[str, object]
) -> None:
    settings.REDIS_URL = "redis://localhost/0"
    settings.CELERY_BROKER_URL = url
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = options
    heartbeat(age_s=1)
    assert client.get("/readyz").json()["missing"] == ["broker"]


def test_another_database_of_the_store_is_no_part_of_its_own(
    client: Client, db: None, store_answers: None, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://localhost/0"
    settings.CELERY_BROKER_URL = "redis://localhost:6379/1"
    heartbeat(age_s=1)
    assert "broker" not in client.get("/readyz").json()["parts"]
