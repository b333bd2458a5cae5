"""Who asks and how often: what every address below `/v1/` checks first."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from portal.accounts.actors import Actor, request_network
from portal.accounts.limits import check_rate
from portal.accounts.models import ApiToken, Scope, User
from portal.api.authentication import BearerTokenAuthentication
from portal.api.openai.errors import OpenAIError, error_response, not_authenticated

API_RATE_NAME = "api"


def require_method(request: HttpRequest, *methods: str) -> None:
    """Raises OpenAIError, 405."""
    if request.method not in methods:
        raise OpenAIError(
            _("This address takes %s only.") % ", ".join(methods),
            code="method_not_allowed",
            status=HTTPStatus.METHOD_NOT_ALLOWED,
            headers={"Allow": ", ".join(methods)},
        )


def require_token(request: HttpRequest, *scopes: Scope) -> Actor:
    """The person whose token the request carries, which has one of these scopes; counts towards the API's rate.

    Sessions do not count here: a page elsewhere could use them. Raises OpenAIError 401 or 403, AuthenticationFailed,
    LimitExceeded.
    """
    found: tuple[User, ApiToken] | None = BearerTokenAuthentication().authenticate(request)
    if found is None:
        raise not_authenticated(_("Send a token of this portal: “Authorization: Bearer sy_…”."))
    user, token = found
    if not any(token.allows(scope) for scope in scopes):
        names = [scope.value for scope in scopes]
        raise OpenAIError(
            _("This needs a token with the scope %s.") % _(" or ").join(names),
            code="insufficient_scope",
            status=HTTPStatus.FORBIDDEN,
            # RFC 6750, section 3.1
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{" ".join(names)}"'},
        )
    actor = Actor(user=user, network=request_network(request), api_token=token)
    check_rate(actor, API_RATE_NAME, settings.API_RATE)
    return actor


def with_error_objects(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A synchronous view whose every error is OpenAI's error object."""

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - error_response logs what nobody expects
            return error_response(request, error)

    return wrapped
