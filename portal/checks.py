"""Misconfiguration that Django would not notice, as system checks: `manage.py check`, `doctor` and `up` report them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, Final

import limits
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name

# A worker renews four times per lease and looks four times a second; below this, one slow query loses it its runs.
SHORTEST_LEASE_S: Final = 2.0
AT_LEAST_ONE: Final = (
    "WORKER_CONCURRENCY", "WORKER_THREADS", "GENERATION_MAX_ATTEMPTS", "STREAM_RETENTION_S",
    "MAX_PROMPT_CHARACTERS", "MAX_OUTPUT_TOKENS", "MAX_CONCURRENT_GENERATIONS",
)  # fmt: skip
RATES: Final = ("GENERATION_RATE", "FEEDBACK_RATE", "BATTLE_RATE", "VOTE_RATE", "API_RATE")

Apps = Sequence[AppConfig] | None


@register()
def times_fit_together(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Leases, deadlines and graces that contradict each other lose or repeat runs."""
    messages: list[CheckMessage] = []
    if settings.GENERATION_LEASE_S < SHORTEST_LEASE_S:
        messages.append(
            Error(
                f"GENERATION_LEASE_S is {settings.GENERATION_LEASE_S:g}, shorter than workers can renew.",
                hint=f"Set it to {SHORTEST_LEASE_S:g} or more.",
                id="steelyard.E001",
            )
        )
    if settings.GENERATION_DEADLINE_S <= 0 or settings.GENERATION_SHUTDOWN_GRACE_S < 0:
        messages.append(
            Error(
                "GENERATION_DEADLINE_S must be positive and GENERATION_SHUTDOWN_GRACE_S must not be negative.",
                hint="Both are seconds.",
                id="steelyard.E002",
            )
        )
    return messages


@register()
def numbers_are_positive(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """A limit of zero would refuse everything, a negative one would mean nothing."""
    return [
        Error(f"{name} is {getattr(settings, name)}.", hint="Set it to 1 or more.", id="steelyard.E003")
        for name in AT_LEAST_ONE
        if getattr(settings, name) < 1
    ]


@register()
def rates_can_be_read(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """A rate that cannot be read would fail at the first request instead of now."""
    messages: list[CheckMessage] = []
    for name in RATES:
        try:
            limits.parse_many(getattr(settings, name))
        except ValueError:
            messages.append(
                Error(
                    f"{name} is {getattr(settings, name)!r}, which is not a rate.",
                    hint="Write it like 30/minute or 600/hour.",
                    id="steelyard.E004",
                )
            )
    return messages


@register()
def engines_exist(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Looked up without importing, since an engine's module may load torch."""
    messages: list[CheckMessage] = []
    for backend, entry_point in settings.ENGINE_BACKENDS.items():
        module = entry_point.rpartition(".")[0]
        try:
            found = importlib.util.find_spec(module) is not None
        except ImportError:
            found = False
        if not found:
            messages.append(
                Error(
                    f"ENGINE_BACKENDS names {entry_point} for {backend}, but there is no module {module}.",
                    id="steelyard.E005",
                )
            )
    return messages


@register()
def port_exists(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """A port beyond the protocol's range cannot be listened on."""
    if 1 <= settings.PORT <= 65_535:
        return []
    return [Error(f"PORT is {settings.PORT}.", hint="Set it to a number from 1 to 65535.", id="steelyard.E006")]


@register(Tags.security, deploy=True)
def production_is_meant(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """What works on one machine and surprises on several."""
    messages: list[CheckMessage] = []
    if not settings.PRODUCTION:
        messages.append(
            Warning("STEELYARD_ENV is not production.", hint="Set STEELYARD_ENV=production.", id="steelyard.W001")
        )
    if settings.PRODUCTION and settings.EMBEDDED_VALKEY:
        messages.append(
            Warning(
                "REDIS_URL is not set, so only processes on this machine share streams and limits.",
                hint="Set REDIS_URL to a Valkey or Redis server.",
                id="steelyard.W002",
            )
        )
    if settings.PRODUCTION and "console" in settings.EMAIL_BACKEND:
        messages.append(
            Warning(
                "EMAIL_URL is not set, so mails, password resets among them, go to the log.",
                hint="Set EMAIL_URL to a mail server, for example smtp+tls://user:password@mail.example.org:587.",
                id="steelyard.W003",
            )
        )
    return messages
