"""What a token may do: its scopes. A signed-in session may do what its person may."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.accounts.models import ApiToken, Scope
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
