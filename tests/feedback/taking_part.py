"""Taking part in a campaign over HTTP: the whole form, where it is sent, and pages as text."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from portal.feedback.models import Campaign

WHOLE = {
    "uses": ["coding", "research"],
    "size": "small",
    "priorities.reasoning": "1",
    "priorities.languages": "2",
    "priorities.speed": "2",
    "priorities.context": "3",
    "priorities.tools": "4",
    "priorities.openness": "5",
    "today.facts": "usable",
    "would_switch": "7",
    "memory": "23.5",
    "licence_matters": "no",
    "licence_which": "This is hidden and so not sent.",
    "wish": "A model that says when it does not know.",
    "consent": "quote",
    "licence": "CC-BY-4.0",
}


def url(name: str, campaign: Campaign) -> str:
    return reverse(f"feedback:{name}", args=[campaign.slug])


def send(client: Client, campaign: Campaign, **changes: Any) -> Any:
    return client.post(url("campaign_answer", campaign), {**WHOLE, **changes})


def html(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response
    return response.content.decode()
