"""The stream's address: whose it is, and what it gives when there is no stream."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, State, TokenTrace
from tests.playground.turns import add_turn, make_conversation

pytestmark = pytest.mark.django_db(transaction=True)


def address(generation: Generation) -> str:
    return reverse("playground:events", args=[generation.pk])


def read(user: User, generation: Generation, **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """All events until the server ends the stream."""

    async def collect() -> bytes:
        client = AsyncClient()
        await client.aforce_login(user)
        response = await client.get(address(generation), headers=headers)
        assert response.status_code == 200
        assert response["Content-Type"].startswith("text/event-stream")
        assert response["Cache-Control"] == "no-store"
        return b"".join([chunk async for chunk in response.streaming_content])

    events = []
    for block in async_to_sync(collect)().decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return events


def test_nobody_else_reaches_a_stream(
    alice: User, charlie_client: Client, visitor_client: Client, variant: Variant
) -> None:
    generation = add_turn(make_conversation(alice), variant)
    for client in (charlie_client, visitor_client, Client()):
        assert client.get(address(generation)).status_code == 404
    assert Client().get(reverse("playground:events", args=[uuid.uuid4()])).status_code == 404


def test_a_visitor_reaches_their_own(visitor: uuid.UUID, visitor_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(visitor), variant)
    assert visitor_client.get(address(generation)).status_code == 200


def test_it_can_only_be_read(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant)
    assert alice_client.post(address(generation)).status_code == 405


def test_an_id_that_is_none_is_refused_in_words(alice: User, alice_client: Client, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant)
    response = alice_client.get(address(generation), headers={"Last-Event-ID": "nonsense"})
    assert (response.status_code, b"Last-Event-ID" in response.content) == (400, True)


def test_a_finished_run_whose_stream_is_gone_comes_from_its_row(alice: User, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant, output="A balance.", thinking="Hm.", usage={"a": 1})
    assert read(alice, generation) == [
        ("delta", {"text": "Hm.", "channel": "thinking", "tokens": []}),
        ("delta", {"text": "A balance.", "channel": "answer", "tokens": []}),
        ("finished", {"finish_reason": "stop", "usage": {"a": 1}, "timings": {}}),
    ]


def test_a_run_that_comes_from_its_row_keeps_its_tokens(alice: User, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant, output="A balance.", thinking="Hm.")
    hm, a, balance = (
        {"id": number, "text": text, "logprob": -0.5, "top": [], "channel": channel}
        for number, (text, channel) in enumerate([("Hm.", "thinking"), ("A", "answer"), (" balance.", "answer")])
    )
    TokenTrace.objects.create(generation=generation, tokens=[hm, a, balance])
    assert [data["tokens"] for name, data in read(alice, generation) if name == "delta"] == [[hm], [a, balance]]


def test_who_resumes_a_stream_that_is_gone_begins_anew(alice: User, variant: Variant) -> None:
    generation = add_turn(make_conversation(alice), variant, output="A balance.", attempt=2)
    assert [name for name, _ in read(alice, generation, **{"Last-Event-ID": "2-7"})] == ["reset", "delta", "finished"]


def test_a_failed_run_says_why(alice: User, variant: Variant) -> None:
    generation = add_turn(
        make_conversation(alice),
        variant,
        output="",
        state=State.FAILED,
        error_code="internal",
        error_message="It broke.",
    )
    assert read(alice, generation) == [("failed", {"code": "internal", "message": "It broke."})]


def test_a_run_cancelled_in_the_queue_ends_without_text(alice: User, variant: Variant) -> None:
    generation = add_turn(
        make_conversation(alice), variant, output="", state=State.CANCELLED, finish_reason="cancelled"
    )
    assert read(alice, generation) == [("finished", {"finish_reason": "cancelled", "usage": {}, "timings": {}})]
