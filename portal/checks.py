"""Misconfiguration that Django would not notice, as system checks: `manage.py check`, `doctor` and `up` report them."""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import limits
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name

from inference.device_names import DEVICES
from portal.catalog.import_source import SourceKind

# A worker renews four times per lease and looks four times a second; below this, one slow query loses it its runs.
SHORTEST_LEASE_S: Final = 2.0
# A limit of zero would refuse everything, a negative one would mean nothing.
LEAST: Final[dict[str, int]] = {
    **dict.fromkeys(
        (
            "WORKER_CONCURRENCY", "WORKER_THREADS", "GENERATION_MAX_ATTEMPTS", "STREAM_RETENTION_S",
            "MAX_PROMPT_CHARACTERS", "MAX_OUTPUT_TOKENS", "MAX_CONCURRENT_GENERATIONS", "WEBHOOK_LOG_DAYS",
        ),
        1,
    ),
    "DELETED_CONVERSATION_DAYS": 2,
    **dict.fromkeys(
        (
            "WORKER_MEMORY_BYTES", "GENERATION_SHUTDOWN_GRACE_S", "MAX_SYSTEM_PROMPT_CHARACTERS",
            "VISITOR_RUNS_PER_DAY", "VISITOR_TOKENS_PER_DAY", "ACCOUNT_RUNS_PER_DAY", "ACCOUNT_TOKENS_PER_DAY",
            "API_TOKEN_RUNS_PER_DAY", "API_TOKEN_TOKENS_PER_DAY", "VISITOR_CONVERSATION_DAYS",
        ),
        0,
    ),
}  # fmt: skip
# Seconds to wait; none at all would give up, or ask again, at once.
WAITS: Final = (
    "GENERATION_DEADLINE_S", "GENERATION_REDISPATCH_S", "UPSTREAM_CONNECT_S", "UPSTREAM_FIRST_BYTE_S",
    "UPSTREAM_SILENCE_S", "HF_TIMEOUT_S", "WEBHOOK_TIMEOUT_S",
)  # fmt: skip
DAYS: Final = ("DELETED_CONVERSATION_DAYS", "VISITOR_CONVERSATION_DAYS", "WEBHOOK_LOG_DAYS")
# A century; from some millions on, the day itself cannot be computed.
MOST_DAYS: Final = 36_500
RATES: Final = ("GENERATION_RATE", "FEEDBACK_RATE", "BATTLE_RATE", "VOTE_RATE", "API_RATE")


@dataclass(frozen=True, slots=True)
class Form:
    """How what a variable lists is written, in words and as a test."""

    words: str
    fits: Callable[[str], object]


def _is_peer(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return text == "*"
    return True


_HOST_AND_PORT: Final = Form(
    "a host or host:port, without a scheme: gpu.internal:8000", re.compile(r"[\w.:\[\]-]+").fullmatch
)
FORMS: Final = {
    "ALLOWED_HOSTS": Form(
        "host names alone, without scheme and port: steelyard.example.org",
        re.compile(r"\*|\.?[\w.-]+|\[?[\da-f:.]+\]?", re.IGNORECASE).fullmatch,
    ),
    "FORWARDED_ALLOW_IPS": Form("addresses or networks, such as 10.0.0.2 or 10.0.0.0/8, or * for everybody", _is_peer),
    "IMPORT_PRIVATE_HOSTS": _HOST_AND_PORT,
    "WEBHOOK_PRIVATE_HOSTS": _HOST_AND_PORT,
    "WORKER_PINNED_VARIANTS": Form("owner/card:variant", re.compile(r"[^/:\s]+/[^/:\s]+:[^/:\s]+").fullmatch),
}
Apps = Sequence[AppConfig] | None


@register()
def times_fit_together(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Leases that end before they are renewed lose and repeat runs; a wait of no time waits for nothing."""
    messages: list[CheckMessage] = []
    if settings.GENERATION_LEASE_S < SHORTEST_LEASE_S:
        messages.append(
            Error(
                f"GENERATION_LEASE_S is {settings.GENERATION_LEASE_S:g}, shorter than workers can renew.",
                hint=f"Set it to {SHORTEST_LEASE_S:g} or more.",
                id="steelyard.E001",
            )
        )
    messages += [
        Error(f"{name} is {getattr(settings, name):g}.", hint="Set it to more than 0 seconds.", id="steelyard.E002")
        for name in WAITS
        if getattr(settings, name) <= 0
    ]
    return messages


@register()
def numbers_are_in_their_limits(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """What would refuse everything, delete too soon, or cannot be computed with."""
    too_little = [
        Error(f"{name} is {getattr(settings, name)}.", hint=f"Set it to {least} or more.", id="steelyard.E003")
        for name, least in LEAST.items()
        if getattr(settings, name) < least
    ]
    too_many = [
        Error(f"{name} is {getattr(settings, name)}.", hint=f"Set it to {MOST_DAYS} or less.", id="steelyard.E003")
        for name in DAYS
        if getattr(settings, name) > MOST_DAYS
    ]
    too_soon = []
    if settings.VISITOR_CONVERSATION_DAYS == 1:
        hint = "Set it to 2 or more, or to 0, which keeps conversations for good."
        too_soon.append(Error("VISITOR_CONVERSATION_DAYS is 1.", hint=hint, id="steelyard.E003"))
    return [*too_little, *too_many, *too_soon]


@register()
def words_are_known(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """A word that is not known would fail at the first run, or at the page that offers it."""
    messages: list[CheckMessage] = []
    known: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        "WORKER_DEVICE": ([settings.WORKER_DEVICE], DEVICES),
        "IMPORT_SOURCES": (settings.IMPORT_SOURCES, SourceKind.values),
    }
    for name, (words, choices) in known.items():
        if unknown := [word for word in words if word not in choices]:
            hint = f"There are {', '.join(choices)}."
            messages.append(Error(f"{name} has {unknown[0]!r}, which is none.", hint=hint, id="steelyard.E007"))
    return messages


@register()
def imports_are_meant(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """Whoever turned imports off by an empty list, as in versions before, would offer them again and not know."""
    if not settings.IMPORT_SOURCES_LEFT_EMPTY:
        return []
    return [
        Warning(
            f"IMPORT_SOURCES is empty, which means its default: {','.join(settings.IMPORT_SOURCES)}.",
            hint="Write IMPORT_SOURCES=none to turn imports from the page off, or leave it out.",
            id="steelyard.W005",
        )
    ]


@register()
def names_and_addresses_have_their_form(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """What is written otherwise than it is compared would be believed to count, and never match."""
    return [
        Error(f"{name} has {text!r}.", hint=f"Write {form.words}.", id="steelyard.E008")
        for name, form in FORMS.items()
        for text in _listed(getattr(settings, name))
        if not form.fits(text) and (name, text) != ("ALLOWED_HOSTS", settings.HOST)
    ]


def _listed(value: str | Sequence[str]) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else list(value)


@register()
def folder_for_imports_is_there(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    """The page would refuse whatever is asked for."""
    folder = settings.IMPORT_FOLDER
    hint = "Set it to the whole path of a folder of this machine."
    if folder and not Path(folder).is_absolute():
        return [Error(f"IMPORT_FOLDER is {folder!r}, which is no whole path.", hint=hint, id="steelyard.E009")]
    if folder and not Path(folder).is_dir():
        # No reason to keep everything else from starting: a disk may be mounted later.
        return [Warning(f"IMPORT_FOLDER is {folder!r}, and there is no such folder.", hint=hint, id="steelyard.W004")]
    return []


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
