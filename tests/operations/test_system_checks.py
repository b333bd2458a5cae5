"""Each misconfiguration is reported under its id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core import checks
from kombu import Connection
from kombu.transport.redis import Channel
from pytest_django import Settings

from portal.environment import broker_at


def ids(*, deploy: bool = False) -> set[str]:
    found = checks.run_checks(include_deployment_checks=deploy)
    return {message.id for message in found if message.id and message.id.startswith("steelyard.")}


def test_the_defaults_are_consistent() -> None:
    assert ids() == set()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("GENERATION_LEASE_S", 1.0, "steelyard.E001"),
        ("GENERATION_DEADLINE_S", 0.0, "steelyard.E002"),
        ("UPSTREAM_SILENCE_S", 0.0, "steelyard.E002"),
        ("GENERATION_SHUTDOWN_GRACE_S", -1.0, "steelyard.E003"),
        ("ACCOUNT_RUNS_PER_DAY", -1, "steelyard.E003"),
        ("DELETED_CONVERSATION_DAYS", 1, "steelyard.E003"),
        ("VISITOR_CONVERSATION_DAYS", 1, "steelyard.E003"),
        ("WEBHOOK_LOG_DAYS", 40_000, "steelyard.E003"),
        ("WORKER_CONCURRENCY", 0, "steelyard.E003"),
        ("MAX_OUTPUT_TOKENS", -5, "steelyard.E003"),
        ("GENERATION_RATE", "thirty", "steelyard.E004"),
        ("API_RATE", "", "steelyard.E004"),
        ("ENGINE_BACKENDS", {"transformers": "portal.nowhere.engine"}, "steelyard.E005"),
        ("PORT", 0, "steelyard.E006"),
        ("WORKER_DEVICE", "gpu", "steelyard.E007"),
        ("IMPORT_SOURCES", ["hub", "web"], "steelyard.E007"),
        ("ALLOWED_HOSTS", ["https://example.org"], "steelyard.E008"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.2,proxy", "steelyard.E008"),
        ("WEBHOOK_PRIVATE_HOSTS", ["http://hooks.internal/"], "steelyard.E008"),
        ("WORKER_PINNED_VARIANTS", ["owner/card"], "steelyard.E008"),
        ("IMPORT_FOLDER", "/nowhere/at/all", "steelyard.W004"),
        ("IMPORT_FOLDER", ".", "steelyard.E009"),
    ],
)
def test_a_setting_that_makes_no_sense_is_reported(settings: Settings, name: str, value: object, expected: str) -> None:
    setattr(settings, name, value)
    [found] = [message for message in checks.run_checks() if str(message.id).startswith("steelyard.")]
    assert found.id == expected
    assert found.msg.startswith(name)
    assert found.hint or expected == "steelyard.E005"
    assert found.is_serious() == (".E" in expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", [".example.org", "steelyard", "[::1]", "192.0.2.1", "*"]),
        ("FORWARDED_ALLOW_IPS", "10.0.0.2, 10.0.0.0/8, ::1, *"),
        ("IMPORT_PRIVATE_HOSTS", ["gpu", "gpu.internal:8000", "::1", "10.0.0.2:8000"]),
        ("WORKER_PINNED_VARIANTS", ["HuggingFaceTB/SmolLM2-135M-Instruct:q4_1-bf16"]),
        ("VISITOR_CONVERSATION_DAYS", 0),
        ("ACCOUNT_RUNS_PER_DAY", 0),
        ("IMPORT_FOLDER", "/"),
    ],
)
def test_what_the_documentation_allows_is_no_error(settings: Settings, name: str, value: object) -> None:
    setattr(settings, name, value)
    assert ids() == set()


def _started(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of the product's own settings, not the tests'."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings", **environment},
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("STEELYARD_ENV", "prod", "one of local, production"),
        ("LOG_LEVEL", "loud", "one of DEBUG, INFO"),
        ("SITE_URL", "steelyard.example.org", "begins with https:// or http://"),
        ("SITE_URL", "https://", "begins with https:// or http://"),
        ("HF_ENDPOINT", "hub.example.org", "begins with https:// or http://"),
        ("REDIS_URL", "http://cache.example.org", "begins with redis://"),
        ("REDIS_URL", "redis://cache.example.org:port/0", "numbers for port and database"),
        ("CELERY_BROKER_URL", "redis://queue.example.org/first", "numbers for port and database"),
        ("REDIS_URL", "unix:///run/valkey.sock?db=first", "unix:///path?db=0"),
        ("CELERY_BROKER_URL", "sqs://queue.example.org", "amqp://"),
        ("DATABASE_URL", "postgresql://", "a URL like"),
        ("EMAIL_URL", "smtp://", "a URL like"),
        ("DEFAULT_FROM_EMAIL", "Steelyard", "you@example.org"),
    ],
)
def test_a_malformed_value_ends_the_start_with_one_sentence(name: str, value: str, words: str) -> None:
    started = _started({name: value}, "-c", "from portal.environment import exit_unless_configured as ask; ask()")
    assert started.returncode == 1
    assert started.stderr.startswith(f"Steelyard cannot start: {name} must be ")
    assert words in started.stderr
    assert len(started.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("LOG_LEVEL", "warning", "WARNING"),
        ("LOG_LEVEL", "WARN", "WARNING"),
        ("LOG_LEVEL", "", "INFO"),
        ("STEELYARD_ENV", "Local", "local"),
        ("STEELYARD_ENV", " ", "local"),
        ("HOST", "", "127.0.0.1"),
        ("STEELYARD_HOME", "", str(settings.BASE_DIR / ".steelyard")),
        ("STEELYARD_HOME", " ", str(settings.BASE_DIR / ".steelyard")),
    ],
)
def test_capitals_and_nothing_at_all_are_understood(name: str, value: str, meant: str) -> None:
    program = f"import django; django.setup(); from portal import settings as s; print(s.{name})"
    started = _started({name: value, "SECRET_KEY": "k" * 50}, "-c", program)
    assert started.stdout == f"{Path(meant).resolve() if '/' in meant else meant}\n", started.stderr


@pytest.mark.parametrize(
    ("url", "account", "database"),
    [
        ("unix:///run/valkey.sock", (None, None), 0),
        ("unix:///run/valkey.sock?db=3", (None, None), 3),
        ("unix://me:p%40ss@/run/valkey.sock?db=3", ("me", "p@ss"), 3),
        ("unix:///run/valkey.sock?db=3&password=p%40ss", (None, "p@ss"), 3),
    ],
)
def test_a_store_on_a_socket_is_the_broker_too(url: str, account: tuple[str | None, str | None], database: int) -> None:
    class Unconnected(Channel):  # type: ignore[misc]  # kombu is untyped
        def __init__(self) -> None:
            self.connection = SimpleNamespace(client=Connection(broker_at(url)), default_port=6379)

        def __del__(self, *_arguments: object) -> None:
            """Nothing was opened."""

    found = Unconnected()._connparams()
    assert (found["path"], found["db"]) == ("/run/valkey.sock", database)
    assert (found["username"], found["password"]) == account


def test_the_broker_of_a_store_on_a_socket_has_its_waiting_times() -> None:
    program = (
        "from portal import settings as s;"
        "print(s.CELERY_BROKER_URL, s.CELERY_BROKER_TRANSPORT_OPTIONS['socket_timeout'])"
    )
    started = _started({"REDIS_URL": "unix:///run/valkey.sock?db=2", "CELERY_BROKER_URL": ""}, "-c", program)
    assert started.stdout == "redis+socket:///run/valkey.sock?virtual_host=2 3.0\n", started.stderr


def test_a_deployment_check_says_what_is_not_meant_for_the_public(settings: Settings) -> None:
    assert "steelyard.W001" in ids(deploy=True)
    settings.PRODUCTION = True
    settings.EMBEDDED_VALKEY = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert ids(deploy=True) == {"steelyard.W002", "steelyard.W003"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp+ssl://me:secret@mail.example:465", ["", True, False, "/"]),
        ("smtp+tls://me:secret@mail.example:587", ["", False, True, "/"]),
        ("filemail:///var/mails", ["filebased", False, False, "/var/mails"]),
    ],
)
def test_an_email_url_is_heeded_whole(url: str, expected: list[object]) -> None:
    program = (
        "import json; from portal import settings as s;"
        "kind = 'filebased' if 'filebased' in s.EMAIL_BACKEND else '';"
        "print(json.dumps([kind, s.EMAIL_USE_SSL, s.EMAIL_USE_TLS, s.EMAIL_FILE_PATH]))"
    )
    environment = {**os.environ, "EMAIL_URL": url}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
    )
    assert json.loads(printed.stdout) == expected
