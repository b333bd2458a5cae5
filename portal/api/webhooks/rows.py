"""Webhooks and their messages as the API tells and takes them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from portal.api.questionnaire_rows import StrictBooleanField, StrictChoiceField
from portal.api.row_answers import members_of
from portal.api.serializers import StrictSerializer, StrictTextField
from portal.exports.models import RecordKind
from portal.exports.rows import iso_utc
from portal.webhooks.models import Delivery, DeliveryState, Disabled, Endpoint


class KindsField(serializers.ListField):
    """Kinds of records."""

    child = StrictChoiceField(choices=RecordKind.values)


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
    enabled = StrictBooleanField(required=False)


class EndpointSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=RecordKind.values))
    enabled = serializers.BooleanField()
    disabled_because = serializers.ChoiceField(choices=Disabled.values, allow_null=True)
    owner = serializers.CharField()
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True, help_text=_("When a message last arrived."))


class EndpointWithSecretSerializer(EndpointSerializer):
    """With the secret, which no other answer has; null where the request repeats one that was carried out."""

    secret = serializers.CharField(allow_null=True)


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
    kind = serializers.CharField(help_text=_("A kind of record, or ping."))
    record = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=DeliveryState.values)
    due_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptSerializer(many=True)


ENDPOINT_MEMBERS: Final = members_of(EndpointSerializer)
DELIVERY_MEMBERS: Final = members_of(DeliverySerializer)
EXAMPLE_ENDPOINT: Final = {
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
EXAMPLE_DELIVERY: Final = {
    "id": "msg_2f1d6c1a8b7e4d0f9a3b5c7d9e1f2a4b",
    "type": "submission.created",
    "kind": "submission",
    "record": "6f1f5a0e-5a43-4c43-9a2f-0c5c0de9c1aa",
    "at": "2026-05-01T12:00:00.000000Z",
    "state": "delivered",
    "due_at": None,
    "attempts": [{"at": "2026-05-01T12:00:00.310000Z", "status": 204, "error": "", "latency_ms": 41, "excerpt": ""}],
}


def endpoint_row(endpoint: Endpoint) -> dict[str, Any]:
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


def delivery_row(delivery: Delivery) -> dict[str, Any]:
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
