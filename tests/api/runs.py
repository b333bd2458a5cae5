"""Runs over REST: where they are, what is sent to start one, and one with a trace."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from portal.catalog.models import Variant
from portal.playground.models import Generation, TokenTrace

URL = reverse("api:generation-list")
JSON = "application/json"
TOKENS: list[dict[str, Any]] = [
    {"id": 1, "text": "A", "logprob": -0.5, "channel": "answer", "top": []},
    {
        "id": 2,
        "text": " balance",
        "logprob": -1.0,
        "channel": "answer",
        "top": [{"id": 2, "text": " balance", "logprob": -1.0}, {"id": 3, "text": " ship", "logprob": -1.5}],
    },
]


def address(run: Generation, what: str = "detail") -> str:
    return reverse(f"api:generation-{what}", args=[run.pk])


def prompt(variant: Variant, **members: Any) -> dict[str, Any]:
    return {"variant": variant.model_id, "prompt": "What is a steelyard?"} | members


def traced(run: Generation) -> Generation:
    TokenTrace.objects.create(generation=run, tokens=TOKENS)
    return run
