"""Members that hold the id of something, or the thing itself where `expand` names the member."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


def _reference(component: str, **schema: Any) -> dict[str, Any]:
    return {"anyOf": [schema, {"$ref": f"#/components/schemas/{component}"}]}


@extend_schema_field(_reference("ConversationPart", type="string", format="uuid"))
class ConversationReference(serializers.JSONField):
    """A conversation's id, or the conversation."""


@extend_schema_field(_reference("VariantPart", type="string"))
class VariantReference(serializers.JSONField):
    """A variant's id, owner/name:variant, or the variant."""


@extend_schema_field(_reference("GenerationPart", type="string", format="uuid"))
class GenerationReference(serializers.JSONField):
    """A run's id, or the run."""


@extend_schema_field(_reference("GenerationPart", type=["string", "null"], format="uuid"))
class HiddenGenerationReference(serializers.JSONField):
    """Likewise; null while it would tell who answers."""
