"""What a token may do: its scopes. A signed-in session may do what its person may."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.accounts.models import ApiToken, Scope
from portal.api.problems import Problem


class HasScope(BasePermission):
    """Lets a token through that has one of the view's `scopes[method]`; a method that names none takes no token."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user.is_authenticated:
            return False
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        scopes: Mapping[str, tuple[Scope, ...]] = getattr(view, "scopes", {})
        wanted = scopes.get(request.method or "", ())
        if any(token.allows(scope) for scope in wanted):
            return True
        names = [scope.value for scope in wanted]
        raise Problem(
            "insufficient-scope",
            _("This needs a token with the scope %(scopes)s.") % {"scopes": _(" or ").join(names)},
            # RFC 6750, section 3.1
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{" ".join(names)}"'},
        )
