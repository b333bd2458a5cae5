"""What every endpoint below `/api/v1/` shares: scopes, what its operation takes, the API's rate, entity tags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any, ClassVar, Final

from django.conf import settings
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.accounts.actors import Actor, request_network
from portal.accounts.limits import check_rate, read_headroom
from portal.accounts.models import ApiToken, Scope, User
from portal.api.authentication import refused_since
from portal.api.conditions import is_known
from portal.api.negotiation import FormatNegotiation
from portal.api.operation import require_allowed
from portal.api.parsers import BoundedJSONParser
from portal.api.permissions import HasScope

API_RATE_NAME: Final = "api"
# Any of them reads everybody's judgements.
READING: Final = (Scope.READ, Scope.EXPORT)


class ApiView(APIView):
    """Its methods are described by `operation`."""

    # Method → scopes, any of which is enough.
    scopes: ClassVar[Mapping[str, tuple[Scope, ...]]] = {}
    permission_classes = [HasScope]
    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJSONParser]
    content_negotiation_class = FormatNegotiation
    http_method_names = ["get", "head", "post", "patch", "delete"]

    def check_throttles(self, request: Request) -> None:
        check_rate(self.actor, API_RATE_NAME, settings.API_RATE)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require_allowed(getattr(self, (request.method or "").lower(), None), request.query_params)

    def handle_exception(self, exc: Exception) -> Response:
        # As the request has it by now: to ask `auth` would authenticate, which may be what has failed.
        return super().handle_exception(refused_since(exc, getattr(self.request, "_auth", None)))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if getattr(getattr(request, "_user", None), "is_authenticated", False):
            room = read_headroom(self.actor, API_RATE_NAME, settings.API_RATE)
            # draft-ietf-httpapi-ratelimit-headers-10
            final["RateLimit-Policy"] = f'"{API_RATE_NAME}";q={room.limit};w={room.window_s}'
            final["RateLimit"] = f'"{API_RATE_NAME}";r={room.remaining};t={room.reset_s}'
        if request.method in {HTTPMethod.GET, HTTPMethod.HEAD} and isinstance(final, Response):
            final.add_post_render_callback(lambda rendered: _tag(request, rendered))
        return final

    @property
    def actor(self) -> Actor:
        assert isinstance(self.request.user, User)
        token = self.request.auth if isinstance(self.request.auth, ApiToken) else None
        return Actor(user=self.request.user, network=request_network(self.request), api_token=token)


def _tag(request: Request, rendered: Any) -> None:
    """Give an answer that has no entity tag one of its bytes, and leave these out for who has them."""
    if rendered.status_code != HTTPStatus.OK or "ETag" in rendered:
        return
    rendered["ETag"] = tag = f'"{hashlib.sha256(rendered.content).hexdigest()[:32]}"'
    rendered.setdefault("Cache-Control", "private, no-cache")
    if is_known(request, tag):
        rendered.status_code = HTTPStatus.NOT_MODIFIED
        rendered.content = b""
        del rendered["Content-Type"]
