"""Who asks the API: a bearer token, `Authorization: Bearer sy_…`, or the session of a browser."""

from __future__ import annotations

from typing import Final

from django.db import IntegrityError
from django.db.models import CharField
from django.utils.translation import gettext_lazy as _
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from portal.accounts.models import ApiToken, User
from portal.prepared_query import Given, PreparedInstances

MAX_TOKEN_CHARACTERS: Final = 200
UNKNOWN: Final = _("This token is unknown or was revoked.")
_tokens_by_digest: Final = PreparedInstances(
    lambda: ApiToken.objects.filter(digest=Given("digest", CharField())).order_by(), related=["user"]
)


class BearerTokenAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox is untyped
    """knox's tokens, found by their digest in one query; an expired one is refused and kept for its owner to see.

    knox's own look-up reads all of the owner's tokens at every request and deletes the expired among them.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        """The token's owner and the token. Raises AuthenticationFailed: unknown, expired, or its owner is inactive."""
        try:
            text = token.decode("ascii")
        except UnicodeDecodeError:
            text = ""
        found: ApiToken | None = None
        if 0 < len(text) <= MAX_TOKEN_CHARACTERS:
            found = next(iter(_tokens_by_digest(digest=hash_token(text))), None)
        if found is None:
            raise AuthenticationFailed(UNKNOWN, code="token_invalid")
        if found.is_expired:
            raise AuthenticationFailed(_("This token has expired. Make a new one."), code="token_expired")
        if not found.user.is_active:
            raise AuthenticationFailed(_("The account of this token is not active."), code="account_inactive")
        found.record_use()
        return found.user, found


def refused_since(error: Exception, token: object) -> Exception:
    """AuthenticationFailed in place of the error of who writes the key of a token that was revoked since it was shown.

    Any other error is returned as it is.
    """
    if not isinstance(error, IntegrityError) or not isinstance(token, ApiToken):
        return error
    is_there = ApiToken.objects.filter(pk=token.pk).exists()
    return error if is_there else AuthenticationFailed(UNKNOWN, code="token_invalid")


class SessionNotVerified(PermissionDenied):
    """What would be written under a session lacks the token that only the portal's own pages know."""

    default_detail = _("Send the value of the cookie csrftoken as X-CSRFToken too, or use a token instead.")


class SessionAuthentication(authentication.SessionAuthentication):
    """Django's session, whose missing CSRF token is told apart from a missing right."""

    def enforce_csrf(self, request: Request) -> None:
        """Raises SessionNotVerified."""
        try:
            super().enforce_csrf(request)
        except PermissionDenied as error:
            raise SessionNotVerified from error
