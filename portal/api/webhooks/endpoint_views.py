"""`/api/v1/webhooks/`: where what moves is told, and the secrets that sign it, each told once."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Any, Final

from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope, User
from portal.api import schema
from portal.api.api_view import ApiView
from portal.api.conditions import require_match, tagged, tagged_unless_known
from portal.api.field_choice import chosen_fields
from portal.api.idempotency import Done, do_once, do_to_once
from portal.api.operation import operation
from portal.api.own_things import NoMembers, read_body
from portal.api.paging import read_newest_page
from portal.api.row_answers import done_headers, list_answer, page_of, part_of
from portal.api.webhooks.rows import (
    ENDPOINT_MEMBERS,
    EXAMPLE_ENDPOINT,
    EndpointChangeSerializer,
    EndpointSerializer,
    EndpointWithSecretSerializer,
    NewEndpointSerializer,
    endpoint_row,
)
from portal.webhooks.access import get_endpoint, visible_endpoints
from portal.webhooks.models import Endpoint
from portal.webhooks.services import change_endpoint, delete_endpoint, make_endpoint, roll_secret

ENDPOINT: Final = schema.in_path("endpoint_id", {"type": "string", "format": "uuid"}, gettext_lazy("Its id."))
_METHODS: Final = (HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.POST, HTTPMethod.PATCH, HTTPMethod.DELETE)
_ONE: Final = OpenApiExample("A webhook", value=EXAMPLE_ENDPOINT, response_only=True)
_WITH_SECRET: Final = OpenApiExample(
    "A webhook with its secret", value={**EXAMPLE_ENDPOINT, "secret": "whsec_…"}, response_only=True
)


class WebhookView(ApiView):
    """Who may: a maintainer or an operator, by a session or by a token with the scope."""

    scopes = dict.fromkeys(_METHODS, (Scope.WEBHOOKS,))

    @property
    def person(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user


class WebhookList(WebhookView):
    http_method_names = ["get", "head", "post"]

    @operation(
        operation_id="webhooks_list",
        summary="Your webhooks",
        description="The last made first; an operator's answer has everybody's.",
        parameters=[schema.fields_parameter(ENDPOINT_MEMBERS), *schema.PAGE_PARAMETERS],
        responses={200: page_of(EndpointSerializer), **schema.problems()},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE_ENDPOINT], "next": None}, response_only=True)],
        tags=["webhooks"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        page, following = read_newest_page(request, visible_endpoints(self.person))
        return list_answer(request, map(endpoint_row, page), following, ENDPOINT_MEMBERS)

    @operation(
        operation_id="webhooks_create",
        summary="Make a webhook",
        description="The answer has the secret, and no other answer will. What moves from now on is told.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=NewEndpointSerializer,
        responses={201: EndpointWithSecretSerializer, **schema.problems(413, 415, 422)},
        examples=[
            OpenApiExample(
                "A webhook to make",
                value={key: EXAMPLE_ENDPOINT[key] for key in ("name", "url", "kinds")},
                request_only=True,
            ),
            _WITH_SECRET,
        ],
        tags=["webhooks"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        told: list[str] = []

        def make() -> Done:
            endpoint, secret = make_endpoint(self.person, **read_body(request, NewEndpointSerializer))
            told.append(secret)
            return Done(201, str(endpoint.pk))

        return _with_secret(self.person, do_once(request, self.actor, make), told)


class WebhookDetail(WebhookView):
    http_method_names = ["get", "head", "patch", "delete"]

    @operation(
        operation_id="webhooks_retrieve",
        summary="One webhook",
        parameters=[ENDPOINT, schema.fields_parameter(ENDPOINT_MEMBERS)],
        responses={200: part_of(EndpointSerializer), **schema.problems(404)},
        examples=[_ONE],
        tags=["webhooks"],
    )
    def get(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        endpoint = get_endpoint(self.person, endpoint_id)
        fields = chosen_fields(request.query_params.get("fields"), ENDPOINT_MEMBERS)
        return tagged_unless_known(request, _chosen_by_people(endpoint), fields, shown=endpoint_row(endpoint))

    @operation(
        operation_id="webhooks_change",
        summary="Change a webhook, or switch it on or off",
        description=(
            "While it is off nothing is told; messages that wait go out when it is switched on. Messages that arrive "
            "meanwhile are no obstacle to If-Match."
        ),
        parameters=[ENDPOINT, schema.IF_MATCH],
        request=EndpointChangeSerializer,
        responses={200: EndpointSerializer, **schema.problems(404, 412, 413, 415)},
        examples=[OpenApiExample("Switch it off", value={"enabled": False}, request_only=True), _ONE],
        tags=["webhooks"],
    )
    def patch(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        get_endpoint(self.person, endpoint_id)
        values = read_body(request, EndpointChangeSerializer)
        with transaction.atomic():
            changed = change_endpoint(self._unchanged(request, endpoint_id), values)
        return tagged(_chosen_by_people(changed), shown=endpoint_row(changed))

    @operation(
        operation_id="webhooks_delete",
        summary="Delete a webhook",
        description="With its log and the messages that wait.",
        parameters=[ENDPOINT, schema.IF_MATCH],
        responses={204: None, **schema.problems(404, 412)},
        tags=["webhooks"],
    )
    def delete(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        with transaction.atomic():
            delete_endpoint(self._unchanged(request, endpoint_id))
        return HttpResponse(status=204)

    def _unchanged(self, request: Request, endpoint_id: uuid.UUID) -> Endpoint:
        """The endpoint as If-Match names it, held. Raises Http404 and Problem."""
        endpoint = get_endpoint(self.person, endpoint_id, for_update=True)
        require_match(request, _chosen_by_people(endpoint))
        return endpoint


class WebhookSecret(WebhookView):
    http_method_names = ["post"]

    @operation(
        operation_id="webhooks_secret",
        summary="A new secret",
        description="In this answer and no other. The secret before signs as well for 24 hours.",
        parameters=[ENDPOINT, schema.IDEMPOTENCY_KEY],
        request=None,
        responses={200: EndpointWithSecretSerializer, **schema.problems(404, 413, 415, 422)},
        examples=[_WITH_SECRET],
        tags=["webhooks"],
    )
    def post(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        told: list[str] = []

        def find() -> Endpoint:
            return get_endpoint(self.person, endpoint_id)

        def roll(endpoint: Endpoint) -> Done:
            read_body(request, NoMembers)
            told.append(roll_secret(endpoint))
            return Done(200, str(endpoint_id))

        return _with_secret(self.person, do_to_once(request, self.actor, find, roll), told)


def _chosen_by_people(endpoint: Endpoint) -> dict[str, Any]:
    """What changes because somebody changed it, and not because a message arrived."""
    return {name: value for name, value in endpoint_row(endpoint).items() if name != "delivered_at"}


def _with_secret(person: User, done: Done, told: list[str]) -> Response:
    endpoint = get_endpoint(person, uuid.UUID(done.made))
    headers = done_headers(done, reverse("api:webhook-detail", args=[endpoint.pk])) | {"Cache-Control": "no-store"}
    row = {**endpoint_row(endpoint), "secret": told[0] if told else None}
    return Response(row, done.status, headers=headers)
