"""What the addresses of somebody's own runs share: scopes, bodies without members, and answers to a POST."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from http import HTTPMethod
from typing import Any

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.actors import Actor
from portal.accounts.models import Scope
from portal.api.conditions import tagged
from portal.api.idempotency import Done, do_once
from portal.api.serializers import StrictSerializer


def own_scopes(*methods: HTTPMethod) -> Mapping[str, tuple[Scope, ...]]:
    """For these methods: who may start runs may read them; reading alone takes less."""
    reading = (Scope.READ, Scope.SUBMIT)
    safe = {HTTPMethod.GET, HTTPMethod.HEAD}
    return {method: reading if method in safe else (Scope.SUBMIT,) for method in methods}


def read_body(request: Request, form: type[StrictSerializer]) -> dict[str, Any]:
    """The body's members, checked. Raises DRF's ValidationError."""
    body = form(data=request.data)
    body.is_valid(raise_exception=True)
    members: dict[str, Any] = body.validated_data
    return members


class NoMembers(StrictSerializer):
    """A body that is empty or an empty object."""


def answer_once(
    request: Request,
    actor: Actor,
    act: Callable[[], Done],
    show: Callable[[uuid.UUID], Mapping[str, Any]],
    address: str = "",
) -> Response:
    """What a POST made or changed, as it stands now; `address` is the name of the address that something new has."""
    done = do_once(request, actor, act)
    made = uuid.UUID(done.made)
    headers = {"Location": reverse(f"api:{address}", args=[made])} if address else {}
    return tagged(show(made), status=done.status, headers=headers | done.headers)
