"""Which addresses a message may be sent to."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from inference.public_address import is_public
from portal.webhooks.models import MAX_URL_CHARACTERS

_PORTS: Final = {"http": 80, "https": 443}


def check_address(url: str) -> None:
    """What can be said without asking the network; names are looked up at each delivery. Raises ValidationError."""
    if problem := _problem(url):
        raise ValidationError({"url": [problem]})


def is_allowed_inside(host: str, port: int) -> bool:
    """Whether the operator lets messages go to this host although it may be inside."""
    return host in settings.WEBHOOK_PRIVATE_HOSTS or f"{host}:{port}" in settings.WEBHOOK_PRIVATE_HOSTS


def _problem(url: str) -> str:
    if len(url) > MAX_URL_CHARACTERS:
        return _("Must have at most %d characters.") % MAX_URL_CHARACTERS
    if not url.isascii() or not url.isprintable() or " " in url:
        return _("Must be an address of visible ASCII characters, such as https://example.org/hooks.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return _("Is not an address.")
    if parts.scheme not in _PORTS or not host:
        return _("Must begin with https:// and name a host.")
    if parts.username is not None or parts.fragment:
        return _("Must have neither a user name nor a fragment.")
    return "" if is_allowed_inside(host, port) else _outside_problem(parts.scheme, host, port)


def _outside_problem(scheme: str, host: str, port: int) -> str:
    try:
        is_inside = not is_public(str(ipaddress.ip_address(host)))
    except ValueError:
        is_inside = host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    if is_inside:
        words = _(
            "Is inside this network, where nothing is sent. An operator can let it through with "
            "WEBHOOK_PRIVATE_HOSTS=%(host)s and a restart."
        )
        return words % {"host": f"{host}:{port}"}
    return "" if scheme == "https" else _("Must begin with https://.")
