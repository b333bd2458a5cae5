"""What is not one's own does not exist: conversations, runs and their events, for strangers and other visitors."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from tests.playground.turns import add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize("name", ["conversation", "generation", "cancel", "retry"])
def test_what_is_not_ones_own_does_not_exist(
    name: str,
    visitor: uuid.UUID,
    alice: User,
    variant: Variant,
    bob_client: Client,
    client: Client,
    visitor_client: Client,
) -> None:
    conversation = make_conversation(alice)
    generation = add_turn(conversation, variant, state=State.RUNNING)
    of_visitor = add_turn(make_conversation(visitor), variant, state=State.RUNNING)
    for shown, strangers in (
        (generation, (bob_client, client, visitor_client)),
        (of_visitor, (bob_client, client)),
    ):
        url = reverse(f"playground:{name}", args=[shown.conversation_id if name == "conversation" else shown.pk])
        for stranger in strangers:
            methods = [stranger.get, stranger.post]
            if name == "generation":
                methods = [stranger.get]
            if name in {"cancel", "retry"}:
                methods = [stranger.post]
            for request in methods:
                assert request(url).status_code == 404
                assert request(url, headers=HTMX).status_code == 404
        shown.refresh_from_db()
        assert shown.cancel_requested_at is None
    assert Generation.objects.count() == 2


@pytest.mark.parametrize("name", ["conversation", "generation", "cancel", "retry"])
def test_an_unknown_id_is_not_found(name: str, alice_client: Client) -> None:
    url = reverse(f"playground:{name}", args=[uuid.uuid4()])
    request = alice_client.post if name in {"cancel", "retry"} else alice_client.get
    assert request(url).status_code == 404
    assert request(url.replace(url.split("/")[3], "not-a-uuid")).status_code == 404


# It closes its database connection while it waits, a test's transaction included.
@pytest.mark.django_db(transaction=True)
def test_the_events_of_somebody_elses_run_do_not_exist(
    alice: User, bob_client: Client, client: Client, visitor_client: Client
) -> None:
    generation = add_turn(make_conversation(alice), make_variant(), state=State.RUNNING)
    for stranger in (bob_client, client, visitor_client):
        for generation_id in (generation.pk, uuid.uuid4()):
            assert stranger.get(reverse("playground:events", args=[generation_id])).status_code == 404
