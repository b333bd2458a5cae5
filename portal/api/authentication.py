"""Bearer tokens for the API."""

from __future__ import annotations

from knox.auth import TokenAuthentication


class BearerTokenAuthentication(TokenAuthentication):
    """`Authorization: Bearer sy_…`, by knox."""
