"""What the addresses of somebody's own things share: scopes, lists, one alone, and answers to a POST."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPMethod
from typing import Any

from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.actors import Actor
from portal.accounts.models import Scope
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.conditions import tagged, tagged_unless_known
from portal.api.expansion import expanded, read_expand
from portal.api.field_choice import chosen_fields, only_fields
from portal.api.idempotency import Done, do_once
from portal.api.operation import Described, operation
from portal.api.row_answers import SerializerClass
from portal.api.serializers import StrictSerializer


class OwnView(ApiView):
    """Somebody's own things, in pages and alone, with what they refer to in the places of the ids."""

    def _page(
        self, request: Request, rows: Sequence[dict[str, Any]], following: str | None, members: Collection[str]
    ) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), members)
        shown = self._expanded(rows, read_expand(request.query_params.get("expand")))
        return tagged_unless_known(request, {"results": [only_fields(row, fields) for row in shown], "next": following})

    def _alone(self, request: Request, row: dict[str, Any], members: Collection[str]) -> HttpResponseBase:
        fields = chosen_fields(request.query_params.get("fields"), members)
        [shown] = self._expanded([row], read_expand(request.query_params.get("expand")))
        return tagged_unless_known(request, row, fields, shown=shown)

    def _expanded(self, rows: Sequence[dict[str, Any]], names: Collection[str]) -> list[dict[str, Any]]:
        return expanded(self.actor, rows, names)


@dataclass(frozen=True, slots=True)
class OwnRows:
    """A kind of own things in the document: its name there, and what their rows have."""

    name: str
    page: SerializerClass
    row: SerializerClass
    fields: tuple[str, ...]
    detail_fields: tuple[str, ...]
    expandable: tuple[str, ...]
    detail_expandable: tuple[str, ...]
    listed: Mapping[str, Any]
    example: OpenApiExample

    def in_pages(self, *filters: OpenApiParameter, refusals: Collection[int] = (), **said: Any) -> Described:
        """The operation that lists them."""
        return operation(
            operation_id=f"{self.name}_list",
            parameters=[
                *filters,
                schema.fields_parameter(self.fields),
                schema.expand_parameter(self.expandable),
                *schema.PAGE_PARAMETERS,
            ],
            responses={200: self.page, **schema.problems(*refusals)},
            examples=[OpenApiExample("A page", value={"results": [self.listed], "next": None}, response_only=True)],
            tags=[self.name],
            **said,
        )

    def alone(self, place: OpenApiParameter, **said: Any) -> Described:
        """The operation that reads one of them."""
        return operation(
            operation_id=f"{self.name}_retrieve",
            parameters=[
                place,
                schema.fields_parameter(self.detail_fields),
                schema.expand_parameter(self.detail_expandable),
            ],
            responses={200: self.row, **schema.problems(404)},
            examples=[self.example],
            tags=[self.name],
            **said,
        )


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
    return answer_done(do_once(request, actor, act), show, address)


def answer_done(done: Done, show: Callable[[uuid.UUID], Mapping[str, Any]], address: str = "") -> Response:
    """Likewise of what was done already."""
    made = uuid.UUID(done.made)
    headers = {"Location": reverse(f"api:{address}", args=[made])} if address else {}
    return tagged(show(made), status=done.status, headers=headers | done.headers)
