"""A model behind a gate: the playground and the service answer 403 with the way to ask, and change nothing."""

from __future__ import annotations

import pytest
from django.test import Client

from inference.sampling_params import SamplingParams
from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.catalog.access import GateClosed
from portal.catalog.gating import answer_request, grant_access
from portal.catalog.models import Gate, Variant
from portal.playground.models import Generation
from portal.playground.services import start_generation
from tests.playground.turns import add_turn, make_conversation, make_variant, prompt_form

pytestmark = pytest.mark.django_db

ASK = "/models/smol/gated/access/"


@pytest.fixture
def gated(variant: Variant) -> Variant:
    behind = make_variant("smol/gated")
    behind.card.gate = Gate.APPROVAL
    behind.card.save()
    return behind


def test_the_service_lets_nobody_in_who_was_not_let_in(alice: User, visitor: object, gated: Variant) -> None:
    for actor in (Actor(user=alice), Actor(visitor=visitor)):  # type: ignore[arg-type]
        with pytest.raises(GateClosed, match="Ask for access at /models/smol/gated/access/"):
            start_generation(actor, variant=gated, prompt="Hello", params=SamplingParams())
    assert not Generation.objects.exists()


def test_the_page_says_where_to_ask_and_does_not_offer_the_model(
    client: Client, alice_client: Client, alice: User, maintainer: User, gated: Variant
) -> None:
    for browser in (client, alice_client):
        response = browser.get("/playground/", {"variant": gated.model_id})
        assert response.status_code == 403
        assert f'href="{ASK}">Ask for access' in response.content.decode()
        assert gated.model_id not in browser.get("/playground/").content.decode()
        sent = browser.post("/playground/", prompt_form(gated), headers={"HX-Request": "true"})
        assert sent.status_code == 403
        assert ASK in sent.content.decode()
    grant_access(gated.card, alice, maintainer)
    assert gated.model_id in alice_client.get("/playground/").content.decode()
    assert client.get("/playground/", {"variant": gated.model_id}).status_code == 403


def test_what_was_taken_back_does_not_run_again(
    alice: User, alice_client: Client, maintainer: User, gated: Variant
) -> None:
    granted = grant_access(gated.card, alice, maintainer)
    conversation = make_conversation(alice)
    earlier = add_turn(conversation, gated)
    answer_request(granted, "revoke", maintainer)
    assert alice_client.get(conversation.get_absolute_url()).status_code == 200
    response = alice_client.post(conversation.get_absolute_url(), prompt_form(gated, parent=earlier.pk))
    assert response.status_code == 403
    assert Generation.objects.count() == 1
