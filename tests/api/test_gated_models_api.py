"""A model behind a gate, for programs: an error that names the gate and where to ask; the lists leave it out."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client

from portal.accounts.models import Scope, User
from portal.catalog.gating import grant_access
from portal.catalog.models import Gate
from portal.playground.models import Generation
from tests.playground.turns import make_variant

pytestmark = pytest.mark.django_db(transaction=True)


def test_openai_clients_are_told_of_the_gate(
    alice: User, bob: User, maintainer: User, token_client: Callable[..., Client]
) -> None:
    gated = make_variant("smol/gated")
    gated.card.gate = Gate.AGREEMENT
    gated.card.save()
    body = json.dumps({"model": gated.model_id, "messages": [{"role": "user", "content": "Hello"}]})
    grant_access(gated.card, bob, maintainer)
    client = token_client(alice, Scope.READ, Scope.SUBMIT)
    for response in (
        client.post("/v1/chat/completions", body, content_type="application/json"),
        client.get(f"/v1/models/{gated.model_id}"),
    ):
        assert response.status_code == 403
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("model_gated", "model")
        assert error["message"] == (
            "smol/gated runs for people who agreed to its terms. Read them and agree at /models/smol/gated/access/."
        )
    assert client.get("/v1/models").json()["data"] == []
    assert not Generation.objects.exists()
    let_in = token_client(bob, Scope.READ)
    assert [each["id"] for each in let_in.get("/v1/models").json()["data"]] == [gated.model_id]
    assert let_in.get(f"/v1/models/{gated.model_id}").status_code == 200
