"""Conversations as the API tells of them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from portal.api.references import VariantReference
from portal.api.runs.generation_rows import EXAMPLE_GENERATION, GenerationSerializer, generation_row
from portal.api.serializers import PartSerializer
from portal.catalog.models import Variant
from portal.exports.rows import iso_utc
from portal.playground.models import Conversation
from portal.playground.queries import latest_variants
from portal.playground.tree import read_turns


class ConversationSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A tree of runs: each names the one that it follows."""

    id = serializers.UUIDField()
    title = serializers.CharField(allow_blank=True)
    system_prompt = serializers.CharField(allow_blank=True)
    turn_count = serializers.IntegerField(help_text=_("Prompts, where several answers to one count once."))
    variant = VariantReference(allow_null=True, help_text=_("That of the newest run."))
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(help_text=_("When its newest prompt was sent."))
    deleted_at = serializers.DateTimeField(allow_null=True)
    page = serializers.CharField(help_text=_("The address of its page."))


class SiblingsSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A run's place among those that follow the same one, oldest first."""

    number = serializers.IntegerField(help_text=_("From 1."))
    count = serializers.IntegerField()
    previous = serializers.UUIDField(allow_null=True)
    next = serializers.UUIDField(allow_null=True)


class TurnSerializer(GenerationSerializer):
    siblings = SiblingsSerializer()


class ConversationDetailSerializer(ConversationSerializer):
    turns = TurnSerializer(many=True, help_text=_("All branches, oldest first."))


class ConversationPartSerializer(PartSerializer, ConversationSerializer):
    """A conversation, or the members of it that `fields` names."""


class ConversationDetailPartSerializer(PartSerializer, ConversationDetailSerializer):
    """Likewise."""


class ConversationPageSerializer(serializers.Serializer):  # type: ignore[type-arg]
    results = ConversationPartSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text=_("The next page; null at the end."))


EXAMPLE_CONVERSATION: Final = {
    "id": EXAMPLE_GENERATION["conversation"],
    "title": "What is a steelyard?",
    "system_prompt": "",
    "turn_count": 1,
    "variant": "owner/name:bf16",
    "created_at": "2026-05-01T12:00:00.000000Z",
    "updated_at": "2026-05-01T12:00:00.000000Z",
    "deleted_at": None,
    "page": f"/playground/c/{EXAMPLE_GENERATION['conversation']}/",
}
EXAMPLE_TURN: Final = EXAMPLE_GENERATION | {"siblings": {"number": 1, "count": 1, "previous": None, "next": None}}
CONVERSATION_EXAMPLE: Final = OpenApiExample(
    "A conversation", value=EXAMPLE_CONVERSATION | {"turns": [EXAMPLE_TURN]}, response_only=True
)
CONVERSATION_FIELDS: Final = tuple(ConversationSerializer().fields)
DETAIL_FIELDS: Final = tuple(ConversationDetailSerializer().fields)
EXPANDABLE: Final = ("variant",)


def conversation_row(conversation: Conversation, variants: Mapping[int, Variant]) -> dict[str, Any]:
    """One of `own_conversations`; `variants` are their `latest_variants`."""
    variant = variants.get(getattr(conversation, "latest_variant_id", None) or 0)
    return {
        "id": str(conversation.pk),
        "title": conversation.title,
        "system_prompt": conversation.system_prompt,
        "turn_count": getattr(conversation, "turn_count", 0),
        "variant": variant.model_id if variant is not None else None,
        "created_at": iso_utc(conversation.created_at),
        "updated_at": iso_utc(conversation.updated_at),
        "deleted_at": iso_utc(conversation.deleted_at) if conversation.deleted_at else None,
        "page": conversation.get_absolute_url(),
    }


def conversation_detail(conversation: Conversation) -> dict[str, Any]:
    """One of `own_conversations` with all its turns, in two queries whatever their number."""
    turns = [
        {
            **generation_row(run),
            "siblings": {
                "number": siblings.number,
                "count": siblings.count,
                "previous": str(siblings.previous) if siblings.previous else None,
                "next": str(siblings.next) if siblings.next else None,
            },
        }
        for run, siblings in read_turns(conversation)
    ]
    return {**conversation_row(conversation, latest_variants([conversation])), "turns": turns}
