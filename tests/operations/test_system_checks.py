"""Each misconfiguration is reported under its id."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.core import checks
from pytest_django import Settings


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
        ("GENERATION_SHUTDOWN_GRACE_S", -1.0, "steelyard.E002"),
        ("WORKER_CONCURRENCY", 0, "steelyard.E003"),
        ("MAX_OUTPUT_TOKENS", -5, "steelyard.E003"),
        ("GENERATION_RATE", "thirty", "steelyard.E004"),
        ("API_RATE", "", "steelyard.E004"),
        ("ENGINE_BACKENDS", {"transformers": "portal.nowhere.engine"}, "steelyard.E005"),
        ("PORT", 0, "steelyard.E006"),
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error(settings: Settings, name: str, value: object, expected: str) -> None:
    setattr(settings, name, value)
    assert ids() == {expected}


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
