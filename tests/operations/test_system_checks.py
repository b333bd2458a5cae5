"""Each misconfiguration is reported under its id."""

from __future__ import annotations

import json
import os
import ssl
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

from portal.environment import Environment, broker_at, server_at
from tests.operations.test_environment_documentation import variables_read


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
        ("IMPORT_SOURCES_LEFT_EMPTY", True, "steelyard.W005"),
    ],
)
def test_a_setting_that_makes_no_sense_is_reported(settings: Settings, name: str, value: object, expected: str) -> None:
    setattr(settings, name, value)
    [found] = [message for message in checks.run_checks() if str(message.id).startswith("steelyard.")]
    assert found.id == expected
    assert found.msg.startswith(name.removesuffix("_LEFT_EMPTY"))
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
        ("METRICS_TOKEN", "short-but-secret", "32 random characters"),
        ("METRICS_TOKEN", "a" * 64, "32 random characters"),
        ("METRICS_TOKEN", "a token of words, which no header can hold", "32 random characters"),
        ("METRICS_TOKEN", "ein-Schlüssel-aus-mehr-als-32-Zeichen", "32 random characters"),
    ],
)
def test_a_malformed_value_ends_the_start_with_one_sentence(name: str, value: str, words: str) -> None:
    started = _started({name: value}, "-c", "from portal.environment import exit_unless_configured as ask; ask()")
    assert started.returncode == 1
    assert started.stderr.startswith(f"Steelyard cannot start: {name} must be ")
    assert words in started.stderr
    assert not name.endswith("_TOKEN") or value not in started.stderr
    assert len(started.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("LOG_LEVEL", "warning", "WARNING"),
        ("LOG_LEVEL", "WARN", "WARNING"),
        ("LOG_LEVEL", "", "INFO"),
        ("STEELYARD_ENV", "Local", "local"),
        ("IMPORT_SOURCES", "none", "[]"),
        ("GENERATION_LEASE_S", "1e3", "1000.0"),
        ("SECRET_KEY", "$HOME" + "k" * 50, "$HOME" + "k" * 50),
        ("METRICS_TOKEN", " mF_9.B5f-4.1JqM~mF_9.B5f-4.1JqM= ", "mF_9.B5f-4.1JqM~mF_9.B5f-4.1JqM="),
    ],
)
def test_what_a_person_may_write_is_understood(name: str, value: str, meant: str) -> None:
    program = f"import django; django.setup(); from portal import settings as s; print(s.{name})"
    started = _started({"SECRET_KEY": "k" * 50, name: value}, "-c", program)
    assert started.stdout == f"{meant}\n", started.stderr


# What docker compose makes of `NAME: ${NAME:-}`, and a person of `NAME= make run`.
@pytest.mark.parametrize("empty", ["", " "])
def test_a_variable_that_is_empty_is_as_one_that_is_not_set(empty: str) -> None:
    program = (
        "import django, json; django.setup(); from portal import settings as s;"
        "print(json.dumps({name: repr(value) for name, value in vars(s).items() if name.isupper()"
        " and not name.endswith('_LEFT_EMPTY')}))"  # what there is to warn of
    )
    names = {*variables_read()} - {"SECRET_KEY"}
    unset = {name: value for name, value in os.environ.items() if name not in names}
    same = {**unset, "DJANGO_SETTINGS_MODULE": "portal.settings", "SECRET_KEY": "k" * 50, "PYTHONHASHSEED": "0"}
    printed = [
        json.loads(
            subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True).stdout
        )
        for environment in (same, {**same, **dict.fromkeys(names, empty)})
    ]
    assert printed[0] == printed[1]


@pytest.mark.parametrize(
    ("environment", "warns"),
    [({"IMPORT_SOURCES": ""}, True), ({"IMPORT_SOURCES": " "}, True), ({"IMPORT_SOURCES": "none"}, False), ({}, False)],
)
def test_imports_that_an_empty_list_once_turned_off_are_warned_of(environment: dict[str, str], warns: bool) -> None:
    program = (
        "import django; django.setup(); from portal.operations.diagnosis import configuration; print(configuration())"
    )
    started = _started({"SECRET_KEY": "k" * 50, **environment}, "-c", program)
    assert started.stdout.startswith("The settings are consistent."), started.stderr
    warning = "W005: IMPORT_SOURCES is empty, which means its default: hub,upstream. Write IMPORT_SOURCES=none"
    assert (warning in started.stdout) == warns


def test_a_file_of_variables_sets_what_is_empty_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=8123\nHOST=0.0.0.0\n")
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("HOST", "127.0.0.2")
    Environment.read_env(file, overwrite=False)
    assert (Environment().int("PORT"), Environment().str("HOST")) == (8123, "127.0.0.2")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "eight", "PORT must be a whole number, not “eight”."),
        ("HF_TIMEOUT_S", "inf", "HF_TIMEOUT_S must be a number, not “inf”."),
        ("DEBUG", "maybe", "DEBUG must be true or false, not “maybe”."),
    ],
)
def test_a_value_of_another_kind_is_named_as_it_was_written(name: str, value: str, words: str) -> None:
    started = _started({name: value}, "-c", "from portal.environment import exit_unless_configured as ask; ask()")
    assert started.stderr == f"Steelyard cannot start: {words}\n"


@pytest.mark.parametrize(
    ("store", "broker"),
    [
        ("unix:///run/valkey.sock?db=0", "redis+socket:///run/valkey.sock?virtual_host=0"),
        ("unix:///run/valkey.sock?db=0", "redis+socket:///run/../run/valkey.sock?virtual_host=1"),
        ("unix:///run/a%20b.sock?db=3&password=p%40ss", "redis+socket://:p%40ss@/run/a%20b.sock?virtual_host=3"),
        ("redis://cache.example.org", "redis://Cache.example.org:6379/1"),
        ("redis://:secret@cache.example.org:6380/0", "redis://default:secret@cache.example.org:6380/2"),
        ("redis:///0", "redis://localhost/1"),
    ],
)
def test_databases_of_one_server_are_one_place(store: str, broker: str) -> None:
    assert server_at(store) == server_at(broker)
    if store.startswith("unix"):
        assert server_at(store) == server_at(broker_at(store))


@pytest.mark.parametrize(
    ("store", "broker"),
    [
        ("unix:///run/valkey.sock?db=0", "redis+socket:///run/other.sock?virtual_host=0"),
        ("redis://127.0.0.1:6379/0", "redis+socket:///run/valkey.sock?virtual_host=0"),
        ("redis://cache.example.org/0", "redis://queue.example.org/0"),
        ("redis://cache.example.org/0", "redis://cache.example.org:6380/0"),
        ("redis://cache.example.org/0", "rediss://cache.example.org/0"),
        ("redis://:secret@cache.example.org/0", "redis://worker:other@cache.example.org/0"),
        ("redis://localhost/0", "amqp://localhost//"),
    ],
)
def test_another_socket_host_port_or_account_is_another_place(store: str, broker: str) -> None:
    assert server_at(store) != server_at(broker)


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


@pytest.mark.parametrize(
    ("url", "looked_at"),
    [
        ("rediss://:secret@queue.example.org:6380/1", ssl.CERT_REQUIRED),
        ("rediss://queue.example.org/1?ssl_ca_certs=/etc/ca.pem", ssl.CERT_REQUIRED),
        ("rediss://queue.example.org/1?ssl_cert_reqs=none", ssl.CERT_NONE),
    ],
)
def test_a_broker_behind_tls_has_its_certificate_looked_at(url: str, looked_at: ssl.VerifyMode) -> None:
    program = "from portal import settings as s; print(s.CELERY_BROKER_URL)"
    for name in ("REDIS_URL", "CELERY_BROKER_URL"):
        printed = _started({"CELERY_BROKER_URL": "", name: url}, "-c", program).stdout.strip()
        connection = Connection(printed)
        assert connection.ssl["ssl_cert_reqs"] == looked_at
        assert (connection.virtual_host, connection.password) == ("1", "secret" if "secret" in url else None)
        assert server_at(printed) == server_at(url)


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
