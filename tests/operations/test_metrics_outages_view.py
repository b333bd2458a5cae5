"""`/metrics` while the store, the database or a folder is away: the rest is told, and soon."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from pytest_django import Settings

from portal.catalog.models import Variant
from portal.operations import metrics, readiness
from portal.playground.loading import loading_teller
from tests.operations.scraper import TOKEN, names_in, parsed, scraped, told
from tests.services.installation import ROOT, environment_of, free_port

pytestmark = pytest.mark.usefixtures("scraper_token", "store_answers", "fresh_limits")


def test_while_the_store_is_away_everything_else_is_told(busy: list[Variant], monkeypatch: pytest.MonkeyPatch) -> None:
    loading_teller(busy[0].pk)(0.5, "loading")
    monkeypatch.setattr(readiness, "ping", lambda url: False)
    monkeypatch.setattr(cache, "get_many", lambda keys: pytest.fail("a store that is away is not asked"))
    values = scraped()
    assert (told(values, "part_up", part="store"), told(values, "ready")) == (0, 0)
    assert (told(values, "scrape_complete"), told(values, "workers")) == (1, 1)
    assert "variant_loading_ratio" not in names_in(values)


def test_while_the_database_is_away_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    away = readiness.Part("database", ok=False, detail="")
    monkeypatch.setattr(readiness, "database", lambda patience_s: away)
    monkeypatch.setattr(metrics, "connection", SimpleNamespace(vendor="postgresql"))
    values = scraped()
    assert told(values, "part_up", part="database") == 0
    assert told(values, "part_up", part="store") == 1
    assert (told(values, "ready"), told(values, "scrape_complete")) == (0, 0)
    assert told(values, "home_size_bytes") > 0
    assert "generations" not in names_in(values)


@pytest.mark.sqlite
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server's disk is its own to look at")
def test_a_file_whose_disk_is_full_is_read_all_the_same(busy: list[Variant], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_has_room_to_write", lambda: False)
    values = scraped()
    assert (told(values, "part_up", part="database"), told(values, "ready")) == (0, 0)
    small = {"variant": busy[0].model_id, "queue": busy[0].queue}
    assert (told(values, "scrape_complete"), told(values, "generations", **small, state="queued")) == (1, 3)


def test_a_file_without_tables_makes_no_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def go(**_given: bool) -> None:
        raise OperationalError("no such table: playground_generation")

    monkeypatch.setattr(readiness, "_has_room_to_write", lambda: False)
    monkeypatch.setattr(metrics, "take_census", go)
    assert told(scraped(), "scrape_complete") == 0


def test_a_database_that_goes_while_it_is_asked_makes_no_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def go(**_given: bool) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(metrics, "take_census", go)
    values = scraped()
    assert told(values, "scrape_complete") == 0
    assert "generations" not in names_in(values)


def test_a_schema_that_is_behind_is_not_asked(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "unapplied_migrations", lambda: 2)
    monkeypatch.setattr(metrics, "take_census", lambda **_given: pytest.fail("tables may be missing"))
    values = scraped()
    assert (told(values, "part_up", part="migrations"), told(values, "scrape_complete")) == (0, 0)


def test_a_home_that_is_gone_makes_no_error(db: None, settings: Settings, tmp_path: Path) -> None:
    settings.STEELYARD_HOME = tmp_path / "gone"
    values = scraped()
    assert "home_free_bytes" not in names_in(values)
    assert told(values, "scrape_complete") == 1


# Three times at most, since a busy machine may stop everything for a while.
ASK = """
import django, time
django.setup()
from django.test import Client
for _ in range(3):
    began = time.monotonic()
    answer = Client().get("/metrics", headers={"authorization": "Bearer " + TOKEN})
    took_s = time.monotonic() - began
    if took_s < 10:
        break
print(answer.status_code, took_s)
print(answer.text)
"""


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose server takes connections and says nothing, as one that stands still does."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(16)
        yield deaf.getsockname()[1]


@pytest.mark.processes
@pytest.mark.parametrize("server", ["away", "deaf"])
def test_a_scraper_hears_of_services_that_do_not_answer_before_it_gives_up(
    tmp_path: Path, deaf_port: int, server: str
) -> None:
    port = deaf_port if server == "deaf" else free_port()
    environment = environment_of(
        tmp_path,
        DATABASE_URL=f"postgresql://me:secret@127.0.0.1:{port}/steelyard",
        REDIS_URL=f"redis://127.0.0.1:{port}/0",
        CELERY_BROKER_URL=f"amqp://me:secret@127.0.0.1:{port}//",
        METRICS_TOKEN=TOKEN,
        DJANGO_SETTINGS_MODULE="portal.settings",
        PYTHONPATH=str(ROOT),
    )
    asked = subprocess.run(
        [sys.executable, "-c", f"TOKEN = {TOKEN!r}\n{ASK}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    first, _newline, text = asked.stdout.partition("\n")
    status, took_s = first.split()
    assert status == "200"
    assert float(took_s) < 10
    values = parsed(text)
    assert {part: told(values, "part_up", part=part) for part in ("database", "store", "broker", "worker")} == {
        "database": 0, "store": 0, "broker": 0, "worker": 0
    }  # fmt: skip
    assert told(values, "scrape_complete") == 0
    assert "secret" not in text
