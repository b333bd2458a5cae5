"""Signatures as the Standard Webhooks specification has them (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

from django.utils.crypto import salted_hmac

from portal.webhooks.models import Endpoint

PREFIX: Final = "whsec_"
_SALT: Final = "portal.webhooks.secret"


def new_nonce() -> str:
    return secrets.token_hex(16)


def secret_of(nonce: str) -> str:
    """The secret that a nonce stands for on this installation: who reads the database alone cannot sign."""
    return PREFIX + base64.b64encode(_key(nonce)).decode()


def digest_of(nonce: str) -> str:
    """What is kept to tell whether the secret still is the one that was shown."""
    return hashlib.sha256(secret_of(nonce).encode()).hexdigest()


def headers(endpoint: Endpoint, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """What goes with a message; while the secret before is still good, it signs as well."""
    timestamp = str(int(at.timestamp()))
    nonces = [endpoint.nonce]
    if endpoint.old_nonce and endpoint.old_until is not None and endpoint.old_until > at:
        nonces.append(endpoint.old_nonce)
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(_key(nonce), signed, "sha256")).decode() for nonce in nonces]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(nonce: str) -> bytes:
    return salted_hmac(_SALT, nonce, algorithm="sha256").digest()
