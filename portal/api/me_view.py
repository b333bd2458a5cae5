"""`/api/v1/me/`: who a token speaks for, and what it may do."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import ApiToken, Scope, User
from portal.accounts.roles import Role
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.operation import operation
from portal.exports.rows import iso_utc

_EXAMPLE: Final = {
    "username": "alice",
    "roles": ["contributor"],
    "scopes": ["read", "submit"],
    "token": {"name": "nightly job", "created_at": "2026-05-01T12:00:00.000000Z", "expires_at": None},
}


class TokenSerializer(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class MeSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The person, and the token of this request; null for a session, which may do all that its person may."""

    username = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(choices=Role.values))
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=Scope.values), help_text=_("Those that are of use at present.")
    )
    token = TokenSerializer(allow_null=True)


class Me(ApiView):
    scopes = {HTTPMethod.GET: tuple(Scope), HTTPMethod.HEAD: tuple(Scope)}

    @operation(
        operation_id="me_retrieve",
        summary="Who you are here",
        responses={200: MeSerializer, **schema.problems()},
        examples=[OpenApiExample("A person", value=_EXAMPLE, response_only=True)],
        tags=["me"],
    )
    def get(self, request: Request) -> Response:
        user, token = request.user, request.auth
        assert isinstance(user, User)
        return Response(
            {
                "username": user.username,
                "roles": [role.value for role in Role if user.has_role(role)],
                "scopes": [scope.value for scope in Scope if not isinstance(token, ApiToken) or token.allows(scope)],
                "token": _token_json(token) if isinstance(token, ApiToken) else None,
            },
            headers={"Cache-Control": "no-store"},
        )


def _token_json(token: ApiToken) -> dict[str, Any]:
    expires_at = iso_utc(token.expiry) if token.expiry is not None else None
    return {"name": token.name, "created_at": iso_utc(token.created), "expires_at": expires_at}
