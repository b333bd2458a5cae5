"""`/api/v1/webhooks/`: endpoints, their secrets once, their pings, and the log of their messages."""

from __future__ import annotations

import uuid
from http import HTTPMethod, HTTPStatus
from typing import Any, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.accounts.models import Scope, User
from portal.api import schema
from portal.api.feedback_views import ApiView
from portal.api.idempotency import Done, do_once
from portal.api.paging import read_limit
from portal.api.problems import Problem
from portal.api.serializers import StrictSerializer, StrictTextField
from portal.exports.criteria import InvalidCriterion
from portal.exports.models import RecordKind
from portal.exports.rows import iso_utc
from portal.webhooks.access import get_delivery, get_endpoint, visible_endpoints
from portal.webhooks.models import Delivery, DeliveryState, Disabled, Endpoint
from portal.webhooks.services import (
    EndpointDisabled,
    change_endpoint,
    delete_endpoint,
    make_endpoint,
    ping,
    redeliver,
    roll_secret,
)

_SCOPE: Final = (Scope.WEBHOOKS,)
MAX_LISTED: Final = 1_000
"""Endpoints in one answer; a person has at most 20."""


class KindsField(serializers.ListField):
    """Kinds of records."""

    child = serializers.ChoiceField(choices=RecordKind.values)
    min_length = 1


class NewEndpointSerializer(StrictSerializer):
    """A webhook to make."""

    name = StrictTextField(max_length=80)
    url = StrictTextField(max_length=500)
    kinds = KindsField(max_length=len(RecordKind.values), min_length=1)


class EndpointChangeSerializer(StrictSerializer):
    """What is to change of a webhook; what is left out stays."""

    name = StrictTextField(max_length=80, required=False)
    url = StrictTextField(max_length=500, required=False)
    kinds = KindsField(max_length=len(RecordKind.values), min_length=1, required=False)
    enabled = serializers.BooleanField(required=False)


class EndpointSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=RecordKind.values))
    enabled = serializers.BooleanField()
    disabled_because = serializers.ChoiceField(choices=Disabled.values, allow_null=True)
    owner = serializers.CharField()
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)


class EndpointWithSecretSerializer(EndpointSerializer):
    """With the secret, which no other answer has; null where the request repeats one that was carried out."""

    secret = serializers.CharField(allow_null=True)


class EndpointsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = EndpointSerializer(many=True)


class AttemptSerializer(serializers.Serializer):  # type: ignore[type-arg]
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    latency_ms = serializers.IntegerField()
    excerpt = serializers.CharField(allow_blank=True)


class DeliverySerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A message; `id` is its webhook-id."""

    id = serializers.CharField()
    type = serializers.CharField()
    kind = serializers.CharField(help_text=gettext_lazy("A kind of record, or ping."))
    record = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=DeliveryState.values)
    due_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptSerializer(many=True)


class DeliveriesSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = DeliverySerializer(many=True)
    next = serializers.CharField(allow_null=True)


_ENDPOINT: Final = {
    "id": "0f9d7c2e-7c1b-4c56-9a55-8c8c3a4e1d77",
    "name": "warehouse",
    "url": "https://example.org/hooks/steelyard",
    "kinds": ["submission", "verdict"],
    "enabled": True,
    "disabled_because": None,
    "owner": "alice",
    "created_at": "2026-05-01T12:00:00.000000Z",
    "delivered_at": None,
}
_DELIVERY: Final = {
    "id": "msg_2f1d6c1a8b7e4d0f9a3b5c7d9e1f2a4b",
    "type": "submission.created",
    "kind": "submission",
    "record": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
    "at": "2026-05-01T12:00:00.000000Z",
    "state": "delivered",
    "due_at": None,
    "attempts": [{"at": "2026-05-01T12:00:00.310000Z", "status": 204, "error": "", "latency_ms": 41, "excerpt": ""}],
}
_ONE: Final = OpenApiExample("A webhook", value=_ENDPOINT, response_only=True)
_WITH_SECRET: Final = OpenApiExample(
    "A webhook with its secret", value={**_ENDPOINT, "secret": "whsec_…"}, response_only=True
)
_MESSAGE: Final = OpenApiExample("A message", value=_DELIVERY, response_only=True, status_codes=["202"])


def described(endpoint: Endpoint) -> dict[str, Any]:
    """What the API says of an endpoint."""
    return {
        "id": str(endpoint.pk),
        "name": endpoint.name,
        "url": endpoint.url,
        "kinds": endpoint.kinds,
        "enabled": endpoint.is_enabled,
        "disabled_because": endpoint.disabled or None,
        "owner": endpoint.owner.username,
        "created_at": iso_utc(endpoint.created_at),
        "delivered_at": None if endpoint.delivered_at is None else iso_utc(endpoint.delivered_at),
    }


def described_delivery(delivery: Delivery) -> dict[str, Any]:
    """What the API says of a message."""
    return {
        "id": delivery.message_id,
        "type": delivery.type,
        "kind": delivery.kind,
        "record": delivery.record,
        "at": iso_utc(delivery.at),
        "state": delivery.state,
        "due_at": iso_utc(delivery.due_at) if delivery.state == DeliveryState.WAITING else None,
        "attempts": [
            {
                "at": iso_utc(each.at),
                "status": each.status,
                "error": each.error,
                "latency_ms": each.latency_ms,
                "excerpt": each.excerpt,
            }
            for each in delivery.attempts_made.all()
        ],
    }


class WebhookView(ApiView):
    """Who may: a maintainer or an operator, by a session or by a token with the scope."""

    scopes = dict.fromkeys(
        (HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.POST, HTTPMethod.PATCH, HTTPMethod.DELETE), _SCOPE
    )

    @property
    def person(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user


class WebhookList(WebhookView):
    http_method_names = ["get", "head", "post"]

    @extend_schema(
        operation_id="webhooks_list",
        summary="Your webhooks",
        description="Newest first; an operator's answer has everybody's, the last thousand.",
        responses={200: EndpointsSerializer, **schema.problems()},
        examples=[OpenApiExample("Webhooks", value={"results": [_ENDPOINT]}, response_only=True)],
        tags=["webhooks"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        return Response({"results": [described(each) for each in visible_endpoints(self.person)[:MAX_LISTED]]})

    @extend_schema(
        operation_id="webhooks_create",
        summary="Make a webhook",
        description="The answer has the secret, and no other answer will. What moves from now on is told.",
        parameters=[schema.IDEMPOTENCY_KEY],
        request=NewEndpointSerializer,
        responses={201: EndpointWithSecretSerializer, **schema.problems(413, 415, 422)},
        examples=[
            OpenApiExample(
                "A webhook to make",
                value={key: _ENDPOINT[key] for key in ("name", "url", "kinds")},
                request_only=True,
            ),
            _WITH_SECRET,
        ],
        tags=["webhooks"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        body = NewEndpointSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        told: list[str] = []

        def make() -> Done:
            endpoint, secret = make_endpoint(self.person, **body.validated_data)
            told.append(secret)
            return Done(HTTPStatus.CREATED, str(endpoint.pk))

        done = do_once(request, self.actor, make)
        endpoint = get_endpoint(self.person, uuid.UUID(done.made))
        headers = {"Location": reverse("api:webhook-detail", args=[endpoint.pk]), "Cache-Control": "no-store"}
        if done.is_repeated:
            headers["Idempotency-Replayed"] = "true"
        return Response({**described(endpoint), "secret": told[0] if told else None}, done.status, headers=headers)


class WebhookDetail(WebhookView):
    http_method_names = ["get", "head", "patch", "delete"]

    @extend_schema(
        operation_id="webhooks_retrieve",
        summary="One webhook",
        responses={200: EndpointSerializer, **schema.problems(404)},
        examples=[_ONE],
        tags=["webhooks"],
    )
    def get(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        return Response(described(get_endpoint(self.person, endpoint_id)))

    @extend_schema(
        operation_id="webhooks_change",
        summary="Change a webhook, or switch it on or off",
        description="While it is off nothing is told; messages that wait go out when it is switched on.",
        request=EndpointChangeSerializer,
        responses={200: EndpointSerializer, **schema.problems(404, 413, 415)},
        examples=[OpenApiExample("Switch it off", value={"enabled": False}, request_only=True), _ONE],
        tags=["webhooks"],
    )
    def patch(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        endpoint = get_endpoint(self.person, endpoint_id)
        body = EndpointChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        change_endpoint(endpoint, dict(body.validated_data))
        return Response(described(get_endpoint(self.person, endpoint_id)))

    @extend_schema(
        operation_id="webhooks_delete",
        summary="Delete a webhook",
        description="With its log and the messages that wait.",
        responses={204: None, **schema.problems(404)},
        tags=["webhooks"],
    )
    def delete(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        delete_endpoint(get_endpoint(self.person, endpoint_id))
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class WebhookSecret(WebhookView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="webhooks_secret",
        summary="A new secret",
        description="In this answer and no other. The secret before signs as well for 24 hours.",
        request=None,
        responses={200: EndpointWithSecretSerializer, **schema.problems(404)},
        examples=[_WITH_SECRET],
        tags=["webhooks"],
    )
    def post(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        secret = roll_secret(get_endpoint(self.person, endpoint_id))
        endpoint = get_endpoint(self.person, endpoint_id)
        return Response({**described(endpoint), "secret": secret}, headers={"Cache-Control": "no-store"})


class WebhookPing(WebhookView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="webhooks_ping",
        summary="Send a ping",
        request=None,
        responses={202: DeliverySerializer, **schema.problems(404, 409)},
        examples=[_MESSAGE],
        tags=["webhooks"],
    )
    def post(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        endpoint = get_endpoint(self.person, endpoint_id)
        try:
            delivery = ping(endpoint)
        except EndpointDisabled as error:
            raise Problem("webhook-disabled", str(error)) from error
        return Response(described_delivery(delivery), HTTPStatus.ACCEPTED)


class WebhookDeliveries(WebhookView):
    http_method_names = ["get", "head"]
    parameters = ("limit", "before", "state", "format")

    @extend_schema(
        operation_id="webhooks_deliveries",
        summary="The log of a webhook's messages",
        description="Newest first, with their attempts, the last first. Messages that ended are kept for some weeks.",
        parameters=[
            schema.PAGE_PARAMETERS[0],
            OpenApiParameter("before", {"type": "string", "pattern": "^[0-9]{1,18}$"}, description="A `next`."),
            OpenApiParameter("state", {"type": "string", "enum": DeliveryState.values}, description="Only these."),
        ],
        responses={200: DeliveriesSerializer, **schema.problems(404)},
        examples=[OpenApiExample("A page", value={"results": [_DELIVERY], "next": None}, response_only=True)],
        tags=["webhooks"],
    )
    def get(self, request: Request, endpoint_id: uuid.UUID) -> HttpResponseBase:
        limit = read_limit(request.query_params.get("limit"))
        deliveries = get_endpoint(self.person, endpoint_id).deliveries.order_by("-pk")
        before, state = request.query_params.get("before"), request.query_params.get("state")
        if before is not None:
            if not (before.isascii() and before.isdigit() and len(before) <= 18):
                raise InvalidCriterion("before", _("Is not a place that this API gave out."))
            deliveries = deliveries.filter(pk__lt=int(before))
        if state is not None:
            if state not in DeliveryState.values:
                raise InvalidCriterion("state", _("Must be one of: %s.") % ", ".join(DeliveryState.values))
            deliveries = deliveries.filter(state=state)
        found = list(deliveries.prefetch_related("attempts_made")[: limit + 1])
        following = str(found[limit - 1].pk) if len(found) > limit else None
        return Response({"results": [described_delivery(each) for each in found[:limit]], "next": following})


class WebhookRedelivery(WebhookView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="webhooks_redeliver",
        summary="Send a message again",
        description="Under its own id, with the record as it is then.",
        parameters=[OpenApiParameter("message_id", {"type": "string"}, OpenApiParameter.PATH, description="Its id.")],
        request=None,
        responses={202: DeliverySerializer, **schema.problems(404, 409)},
        examples=[_MESSAGE],
        tags=["webhooks"],
    )
    def post(self, request: Request, endpoint_id: uuid.UUID, message_id: str) -> HttpResponseBase:
        delivery = get_delivery(self.person, endpoint_id, message_id)
        try:
            redeliver(delivery)
        except EndpointDisabled as error:
            raise Problem("webhook-disabled", str(error)) from error
        delivery.refresh_from_db()
        return Response(described_delivery(delivery), HTTPStatus.ACCEPTED)
