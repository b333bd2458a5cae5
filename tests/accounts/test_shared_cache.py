from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.test import Client

from portal.accounts import shared_cache
from portal.accounts.models import User
from portal.accounts.shared_cache import JsonSerializer, SharedCache
from tests.conftest import PASSWORD
from tests.services.valkey import Valkey


@pytest.fixture
def away(tmp_path: Path) -> Iterator[SharedCache]:
    """A cache whose server is not there."""
    yield SharedCache(f"unix://{tmp_path / uuid.uuid4().hex}?db=0", {"OPTIONS": {"timeout_s": 1.0}})
    shared_cache._client.cache_clear()


def outages(caplog: pytest.LogCaptureFixture) -> int:
    """How many were logged; what other threads say is not counted."""
    return sum(record.name == shared_cache.__name__ for record in caplog.records)


def test_while_the_server_is_away_this_process_counts_for_itself(away: SharedCache) -> None:
    assert away.add("lock", True, timeout=600)
    assert not away.add("lock", True, timeout=600)
    away.set("history", [3.5, 1.5], timeout=600)
    assert away.get("history") == [3.5, 1.5]
    assert away.get("other", []) == []
    assert away.delete("lock")
    assert away.has_key("history")


def test_an_outage_is_logged_once_and_asked_again_after_a_while(
    away: SharedCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(shared_cache.time, "monotonic", lambda: now)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            away.get("x")
        assert outages(caplog) == 1
        now += shared_cache.STORE_AWAY_S + 1
        away.get("x")
    assert outages(caplog) == 2


def test_cache_objects_of_one_process_share_their_state(away: SharedCache) -> None:
    away.set("x", 1)
    other = SharedCache(away._location, {"OPTIONS": {"timeout_s": 1.0}})
    assert other.get("x") == 1


def test_clearing_is_refused_since_the_broker_would_go_too(away: SharedCache) -> None:
    with pytest.raises(NotImplementedError, match="broker"):
        away.clear()


@pytest.mark.parametrize("value", [0, 7, -1, 1.5, True, None, "text", [1.25, 2.5], {"a": [1]}])
def test_values_come_back_as_they_were(value: object) -> None:
    serializer = JsonSerializer()
    stored = serializer.dumps(value)
    assert serializer.loads(str(stored).encode()) == value


def test_only_plain_data_is_stored() -> None:
    with pytest.raises(TypeError):
        JsonSerializer().dumps(object())


@pytest.mark.django_db
def test_signing_in_works_and_is_limited_while_redis_is_away(
    client: Client, alice: User, tmp_path: Path, settings
) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "portal.accounts.shared_cache.SharedCache",
            "LOCATION": f"unix://{tmp_path / 'nobody'}?db=0",
            "OPTIONS": {"timeout_s": 1.0},
        }
    }
    for _ in range(5):
        client.post("/accounts/login/", {"login": "bob", "password": "wrong"})
    refused = client.post("/accounts/login/", {"login": "bob", "password": "wrong"})
    assert "Too many failed login attempts" in refused.content.decode()
    assert client.post("/accounts/login/", {"login": "alice", "password": PASSWORD}).status_code == 302
    shared_cache._client.cache_clear()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.close()
    shared_cache._client.cache_clear()


@pytest.mark.processes
def test_counts_are_shared_by_processes_and_outlive_neither_key_nor_type(valkey: Valkey) -> None:
    parameters = {"KEY_PREFIX": "steelyard", "OPTIONS": {"timeout_s": 30.0}}
    cache = SharedCache(valkey.url, parameters)
    assert cache.add("lock", True, timeout=600)
    cache.set("history", [3.5], timeout=600)
    shared_cache._client.cache_clear()
    of_another_process = SharedCache(valkey.url, parameters)
    assert not of_another_process.add("lock", True, timeout=600)
    assert of_another_process.get("history") == [3.5]
    assert of_another_process.delete("lock")
    assert cache.add("lock", True, timeout=600)
    server = redis.Redis.from_url(valkey.url)
    assert server.get("steelyard:1:history") == b"[3.5]"
    assert 0 < server.ttl("steelyard:1:history") <= 600


@pytest.mark.processes
def test_a_frozen_server_costs_its_time_out_once(
    valkey: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_cache, "STORE_AWAY_S", 600.0)
    SharedCache(valkey.url, {"OPTIONS": {"timeout_s": 30.0}}).set("x", 1)
    cache = SharedCache(valkey.url, {"OPTIONS": {"timeout_s": 0.5}})
    with valkey.halted(), caplog.at_level(logging.WARNING):
        for _ in range(10):
            assert cache.get("x") is None
    assert outages(caplog) == 1


@pytest.mark.processes
def test_after_an_outage_the_shared_counts_are_used_again(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_cache, "STORE_AWAY_S", 0.0)
    cache = SharedCache(valkey.url, {"OPTIONS": {"timeout_s": 30.0}})
    cache.set("x", 1, timeout=None)
    valkey.stop()
    assert cache.get("x") is None
    valkey.start()
    assert cache.get("x") == 1
