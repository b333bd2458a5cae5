"""`/api/v1/webhooks/…/deliveries/`: the log of a webhook's messages, pings, and messages that are sent again."""

from __future__ import annotations

import uuid
from http import HTTPMethod
from typing import Any, Final

from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api import schema
from portal.api.idempotency import Done, do_to_once
from portal.api.operation import operation
from portal.api.own_things import NoMembers, read_body
from portal.api.paging import read_latest_page
from portal.api.problems import Problem
from portal.api.row_answers import done_headers, list_answer, page_of
from portal.api.webhooks.endpoint_views import ENDPOINT, WebhookView
from portal.api.webhooks.rows import DELIVERY_MEMBERS, EXAMPLE_DELIVERY, DeliverySerializer, delivery_row
from portal.webhooks.access import get_delivery, get_endpoint
from portal.webhooks.models import Delivery, DeliveryState, Endpoint
from portal.webhooks.services import EndpointDisabled, ping, redeliver

_MESSAGE: Final = OpenApiExample("A message", value=EXAMPLE_DELIVERY, response_only=True, status_codes=["202"])
_ACCEPTED: Final[dict[Any, Any]] = {202: DeliverySerializer, **schema.problems(404, 409, 413, 415, 422)}


class WebhookPing(WebhookView):
    http_method_names = [HTTPMethod.POST.lower()]

    @operation(
        operation_id="webhooks_ping",
        summary="Send a ping",
        parameters=[ENDPOINT, schema.IDEMPOTENCY_KEY],
        request=None,
        responses=_ACCEPTED,
        examples=[_MESSAGE],
        tags=["webhooks"],
    )
    def post(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        def find() -> Endpoint:
            return get_endpoint(self.person, endpoint_id)

        def send(endpoint: Endpoint) -> Done:
            read_body(request, NoMembers)
            try:
                return Done(202, ping(endpoint).message_id)
            except EndpointDisabled as error:
                raise Problem("webhook-disabled", str(error)) from error

        return _sent(self, endpoint_id, do_to_once(request, self.actor, find, send))


class WebhookDeliveries(WebhookView):
    http_method_names = ["get", "head"]

    @operation(
        operation_id="webhooks_deliveries",
        summary="The log of a webhook's messages",
        description="Newest first, with their attempts, the last first. Messages that ended are kept for some weeks.",
        parameters=[
            ENDPOINT,
            schema.query("state", {"type": "string", "enum": DeliveryState.values}, gettext_lazy("Only in this one.")),
            schema.fields_parameter(DELIVERY_MEMBERS),
            *schema.PAGE_PARAMETERS,
        ],
        responses={200: page_of(DeliverySerializer), **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [EXAMPLE_DELIVERY], "next": None}, response_only=True)],
        tags=["webhooks"],
    )
    def get(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        deliveries = get_endpoint(self.person, endpoint_id).deliveries.prefetch_related("attempts_made")
        if "state" in request.query_params:
            deliveries = deliveries.filter(state=request.query_params["state"])
        page, following = read_latest_page(request, deliveries)
        return list_answer(request, map(delivery_row, page), following, DELIVERY_MEMBERS)


class WebhookRedelivery(WebhookView):
    http_method_names = [HTTPMethod.POST.lower()]

    @operation(
        operation_id="webhooks_redeliver",
        summary="Send a message again",
        description="Under its own id, with the record as it is then.",
        parameters=[
            ENDPOINT,
            schema.in_path("message_id", {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}, gettext_lazy("Its id.")),
            schema.IDEMPOTENCY_KEY,
        ],
        request=None,
        responses=_ACCEPTED,
        examples=[_MESSAGE],
        tags=["webhooks"],
    )
    def post(self, request: Request, endpoint_id: uuid.UUID, message_id: str) -> HttpResponseBase:
        def find() -> Delivery:
            return get_delivery(self.person, endpoint_id, message_id)

        def send(delivery: Delivery) -> Done:
            read_body(request, NoMembers)
            try:
                redeliver(delivery)
            except EndpointDisabled as error:
                raise Problem("webhook-disabled", str(error)) from error
            return Done(202, message_id)

        return _sent(self, endpoint_id, do_to_once(request, self.actor, find, send))


def _sent(view: WebhookView, endpoint_id: uuid.UUID, done: Done) -> Response:
    delivery = get_delivery(view.person, endpoint_id, done.made)
    return Response(delivery_row(delivery), done.status, headers=done_headers(done))
