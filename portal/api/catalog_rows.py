"""Cards and variants as the API tells of them, and the form of that in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from portal.api.row_answers import members_of
from portal.api.serializers import DigestsField, ObjectField
from portal.catalog.models import Backend, Gate, ModelCard, Relation, Variant
from portal.exports.rows import iso_utc

# Where an upstream is and with which key it is asked is the operator's.
_PRIVATE_FACTS: Final = frozenset({"upstream_url", "upstream_key"})


class CardSerializer(serializers.Serializer):  # type: ignore[type-arg]
    name = serializers.CharField(help_text=_("owner/name"))
    title = serializers.CharField()
    summary = serializers.CharField(allow_blank=True)
    parameters = serializers.IntegerField(allow_null=True)
    gate = serializers.ChoiceField(choices=Gate.values)
    may_run = serializers.BooleanField(help_text=_("Whether the gate is open to you."))
    revision = serializers.IntegerField(allow_null=True, help_text=_("The number of its current text."))
    variants = serializers.ListField(child=serializers.CharField(), help_text=_("owner/name:variant"))
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    page = serializers.CharField(help_text=_("The address of its page."))


class CardDetailSerializer(CardSerializer):
    metadata = ObjectField(help_text=_("The YAML at the head of the card."))
    text = serializers.CharField(allow_blank=True, help_text=_("The whole card in Markdown, with its YAML."))


class VariantSerializer(serializers.Serializer):  # type: ignore[type-arg]
    id = serializers.CharField(help_text=_("owner/name:variant, the `model` that /v1 takes."))
    card = serializers.CharField()
    variant = serializers.CharField()
    backend = serializers.ChoiceField(choices=Backend.values)
    format = serializers.CharField(allow_blank=True)
    dtype = serializers.CharField(allow_blank=True)
    quantisation = serializers.CharField(allow_blank=True)
    relation = serializers.ChoiceField(choices=Relation.values, allow_blank=True)
    base = serializers.CharField(allow_null=True, help_text=_("The variant that this was made from or runs on."))
    context_length = serializers.IntegerField(allow_null=True)
    is_runnable = serializers.BooleanField(help_text=_("Whether it runs here at present."))
    may_run = serializers.BooleanField(help_text=_("Whether it does so for you."))
    defaults = ObjectField(help_text=_("Sampling parameters where a request has none."))
    weights_sha256 = DigestsField(help_text=_("File name → SHA-256."))
    facts = ObjectField(help_text=_("What was read from the weights, or told by the upstream."))
    created_at = serializers.DateTimeField()


CARD_MEMBERS: Final = members_of(CardSerializer)
CARD_DETAIL_MEMBERS: Final = members_of(CardDetailSerializer)
VARIANT_MEMBERS: Final = members_of(VariantSerializer)
EXAMPLE_CARD: Final = {
    "name": "owner/name",
    "title": "Name",
    "summary": "A small model.",
    "parameters": 134515008,
    "gate": "open",
    "may_run": True,
    "revision": 3,
    "variants": ["owner/name:bf16"],
    "created_at": "2026-05-01T12:00:00.000000Z",
    "updated_at": "2026-05-02T12:00:00.000000Z",
    "page": "/models/owner/name/",
}
EXAMPLE_VARIANT: Final = {
    "id": "owner/name:bf16",
    "card": "owner/name",
    "variant": "bf16",
    "backend": "transformers",
    "format": "safetensors",
    "dtype": "bfloat16",
    "quantisation": "",
    "relation": "",
    "base": None,
    "context_length": 8192,
    "is_runnable": True,
    "may_run": True,
    "defaults": {"temperature": 0.2},
    "weights_sha256": {"model.safetensors": "9f2b…"},
    "facts": {"parameters": 134515008, "context_length": 8192},
    "created_at": "2026-05-01T12:00:00.000000Z",
}


def card_row(card: ModelCard, open_to: Collection[int]) -> dict[str, Any]:
    """`open_to` are the cards whose gates are open to the reader."""
    return {
        "name": card.name,
        "title": card.title,
        "summary": card.summary,
        "parameters": card.parameters,
        "gate": card.gate,
        "may_run": card.pk in open_to,
        "revision": card.current_revision.number if card.current_revision is not None else None,
        "variants": [f"{card.name}:{variant.slug}" for variant in card.variants.all()],
        "created_at": iso_utc(card.created_at),
        "updated_at": iso_utc(card.updated_at),
        "page": card.get_absolute_url(),
    }


def card_detail(card: ModelCard, open_to: Collection[int]) -> dict[str, Any]:
    """The card with its text."""
    revision = card.current_revision
    return {
        **card_row(card, open_to),
        "metadata": revision.metadata if revision is not None else {},
        "text": revision.text if revision is not None else "",
    }


def variant_row(variant: Variant, open_to: Collection[int]) -> dict[str, Any]:
    """A variant with what is known of its weights; a base whose card is not published is not named."""
    base = variant.base
    return {
        "id": variant.model_id,
        "card": variant.card.name,
        "variant": variant.slug,
        "backend": variant.backend,
        "format": variant.format,
        "dtype": variant.dtype,
        "quantisation": variant.quantisation,
        "relation": variant.relation,
        "base": base.model_id if base is not None and base.card.is_published else None,
        "context_length": variant.context_length,
        "is_runnable": variant.is_runnable,
        "may_run": variant.is_runnable and variant.card_id in open_to,
        "defaults": variant.defaults,
        "weights_sha256": variant.digests,
        "facts": {name: value for name, value in variant.facts.items() if name not in _PRIVATE_FACTS},
        "created_at": iso_utc(variant.created_at),
    }
