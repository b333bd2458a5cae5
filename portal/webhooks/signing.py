"""Signatures as the Standard Webhooks specification has them (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.conf import settings
from django.utils.crypto import salted_hmac

from portal.webhooks.models import Endpoint

PREFIX: Final = "whsec_"
_SALT: Final = "portal.webhooks.secret"


def new_nonce() -> str:
    return secrets.token_hex(16)


def secret_of(nonce: str) -> str:
    """The secret that a nonce stands for on this installation: who reads the database alone cannot sign."""
    return _secret(_key(nonce, settings.SECRET_KEY))


def digest_of(nonce: str) -> str:
    """What is kept to tell whether the secret still is the one that was shown."""
    return _digest(_key(nonce, settings.SECRET_KEY))


def has_its_secret(endpoint: Endpoint) -> bool:
    """Whether this installation can still sign with the secret that was shown."""
    return any(_shown(endpoint))


def headers(endpoint: Endpoint, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """What goes with a message; while the secret before is still good, it signs as well."""
    timestamp = str(int(at.timestamp()))
    keys = list(_shown(endpoint))
    if endpoint.old_nonce and endpoint.old_until is not None and endpoint.old_until > at:
        # With which of the installation's keys it was made is not known any more; the receiver finds the right one.
        keys.extend(_possible(endpoint.old_nonce))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _shown(endpoint: Endpoint) -> Iterator[bytes]:
    """The key of the endpoint's secret, where the installation's key that made it still counts."""
    return (key for key in _possible(endpoint.nonce) if _digest(key) == endpoint.secret_digest)


def _possible(nonce: str) -> Iterator[bytes]:
    return (_key(nonce, made_with) for made_with in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def _key(nonce: str, made_with: str) -> bytes:
    return salted_hmac(_SALT, nonce, secret=made_with, algorithm="sha256").digest()


def _secret(key: bytes) -> str:
    return PREFIX + base64.b64encode(key).decode()


def _digest(key: bytes) -> str:
    return hashlib.sha256(_secret(key).encode()).hexdigest()
