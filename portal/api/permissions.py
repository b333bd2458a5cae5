"""What a token may do: its scopes. A signed-in session may do what its person may."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.accounts.models import ApiToken, Scope, User
from portal.api.problems import Problem


class HasScope(BasePermission):
    """Lets a token through that has one of the view's `scopes[method]`.

    A method without scopes is one that the address does not take: whatever the token, 405.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user.is_authenticated:
            return False
        if not isinstance(request.auth, ApiToken):
            return True
        scopes: Mapping[str, tuple[Scope, ...]] = getattr(view, "scopes", {})
        method = request.method or ""
        if method not in scopes:
            raise MethodNotAllowed(method)
        wanted = scopes[method]
        if has_any_scope(request, *wanted):
            return True
        names = [scope.value for scope in wanted]
        raise Problem(
            "insufficient-scope",
            _("This needs a token with the scope %(scopes)s.") % {"scopes": _(" or ").join(names)},
            # RFC 6750, section 3.1
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{" ".join(names)}"'},
        )


def has_any_scope(request: Request, *scopes: Scope) -> bool:
    """Whether the request's token has one of these; a signed-in session needs none."""
    token = request.auth
    return not isinstance(token, ApiToken) or any(token.allows(scope) for scope in scopes)


def role_of(request: Request) -> User | AnonymousUser:
    """The person with their roles; nobody in particular for a token that does not speak for these (scope admin)."""
    user: User | AnonymousUser = request.user
    return user if has_any_scope(request, Scope.ADMIN) else AnonymousUser()


def page_request(request: Request) -> HttpRequest:
    """The request as the pages' own look-ups take it; its `user` is whom the token speaks for."""
    return request._request  # noqa: SLF001
