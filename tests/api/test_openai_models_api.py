"""`/v1/models`: the variants that run here, for whoever has a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from portal.accounts.models import Scope, User
from portal.catalog.models import Variant
from tests.playground.turns import make_variant

pytestmark = pytest.mark.django_db


@pytest.fixture
def variants() -> list[Variant]:
    make_variant(slug="off", is_runnable=False)
    hidden = make_variant("smol/hidden")
    hidden.card.is_published = False
    hidden.card.save()
    return [make_variant(facts={"context_length": 8192}), make_variant(slug="int8")]


@pytest.fixture
def reader(alice: User, token_client: Callable[..., Client]) -> Client:
    return token_client(alice, Scope.READ)


def test_the_list_has_what_runs_here(reader: Client, variants: list[Variant]) -> None:
    document = reader.get("/v1/models").json()
    assert document["object"] == "list"
    assert [each["id"] for each in document["data"]] == ["smol/lm2:bf16", "smol/lm2:int8"]
    assert document["data"][0] == {
        "id": "smol/lm2:bf16",
        "object": "model",
        "created": int(variants[0].created_at.timestamp()),
        "owned_by": "smol",
        "context_length": 8192,
    }


@pytest.mark.usefixtures("variants")
@pytest.mark.parametrize("model_id", ["smol/lm2:bf16", "smol%2Flm2%3Abf16", "smol/lm2"])
def test_one_is_found_by_its_id(reader: Client, model_id: str) -> None:
    assert reader.get(f"/v1/models/{model_id}").json()["id"] == "smol/lm2:bf16"


@pytest.mark.usefixtures("variants")
@pytest.mark.parametrize("model_id", ["smol/lm2:off", "smol/hidden:bf16", "smol/none", "none"])
def test_what_does_not_run_here_is_not_found(reader: Client, model_id: str) -> None:
    response = reader.get(f"/v1/models/{model_id}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_a_token_that_may_start_runs_may_choose_among_them(
    alice: User, variants: list[Variant], token_client: Callable[..., Client]
) -> None:
    assert token_client(alice, Scope.SUBMIT).get("/v1/models").status_code == 200
    assert Client().get("/v1/models").status_code == 401


def test_it_can_only_be_read(reader: Client) -> None:
    response = reader.post("/v1/models")
    assert (response.status_code, response["Allow"]) == (405, "GET")


def test_the_list_costs_the_same_for_many(
    reader: Client, variants: list[Variant], django_assert_max_num_queries: Any
) -> None:
    reader.get("/v1/models")
    for number in range(20):
        make_variant(slug=f"more-{number}")
    with django_assert_max_num_queries(2):
        assert len(reader.get("/v1/models").json()["data"]) == 22
