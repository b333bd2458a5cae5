"""A card's history and facts over REST: every text, byte for byte, compared, and no card that is not public."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.catalog.models import ModelCard
from portal.catalog.services import publish_revision
from tests.catalog.shelf import CARD_TEXT, make_card, make_variant

pytestmark = pytest.mark.django_db
TINY = ["acme", "tiny"]
LIST, COMPARISON, FACTS = (
    reverse(f"api:{name}", args=TINY) for name in ("revision-list", "card-comparison", "card-facts")
)


@pytest.fixture
def reader(token_client: Callable[..., Client], alice: User) -> Client:
    return token_client(alice, Scope.READ)


@pytest.fixture
def card(alice: User) -> ModelCard:
    card = make_card()
    publish_revision(
        card, CARD_TEXT.replace("apache-2.0", "mit").replace("*emphasis*", "stress"), alice, "Another one."
    )
    return ModelCard.objects.get(pk=card.pk)


def test_a_history_is_read_oldest_first_and_every_text_whole(reader: Client, card: ModelCard) -> None:
    first, second = reader.get(LIST).json()["results"]
    assert [(row["number"], row["author"], row["is_current"]) for row in (first, second)] == [
        (1, None, False),
        (2, "alice", True),
    ]
    address = reverse("api:revision-detail", args=[*TINY, 1])
    one = reader.get(address)
    assert one.json() == {**first, "metadata": one.json()["metadata"], "text": CARD_TEXT}
    assert reader.get(address, headers={"If-None-Match": one["ETag"]}).status_code == 304
    assert reader.get(address, {"fields": "number,sha256"}).json() == {"number": 1, "sha256": first["sha256"]}
    assert reader.get(LIST, {"limit": 1}).json()["next"]


def test_the_readme_is_the_published_bytes(reader: Client, card: ModelCard) -> None:
    address = reverse("api:revision-readme", args=[*TINY, 1])
    response = reader.get(address)
    assert (response.content, response["Content-Type"]) == (CARD_TEXT.encode(), "text/markdown; charset=utf-8")
    assert reader.get(address, headers={"If-None-Match": response["ETag"]}).status_code == 304
    assert reader.get(address, headers={"Accept": "application/json"}).status_code == 406


def test_two_texts_are_compared_by_words_and_fields(reader: Client, card: ModelCard) -> None:
    told = reader.get(COMPARISON, {"from": 1, "to": 2}).json()
    assert [(each["name"], each["old"], each["new"]) for each in told["fields_changed"]] == [
        ("license", "apache-2.0", "mit")
    ]
    words = {
        kind: "".join(each["text"] for each in told["text"] if each["kind"] == kind) for kind in ("added", "removed")
    }
    assert "stress" in words["added"]
    assert "emphasis" in words["removed"]
    for query, parameter in (({"from": 1}, "to"), ({"from": "x", "to": 2}, "from"), ({"from": 0, "to": 2}, "from")):
        response = reader.get(COMPARISON, query)
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, parameter)
    assert reader.get(COMPARISON, {"from": 1, "to": 9}).status_code == 404


def test_facts_come_as_numbers_in_words_and_with_what_the_card_says_otherwise(reader: Client) -> None:
    card = make_card(text=CARD_TEXT + "\nA context length of 2k tokens.\n")
    make_variant(card, facts={"parameters": 135_000_000, "context_length": 8192, "upstream_url": "http://10.0.0.7"})
    [row] = reader.get(FACTS).json()["results"]
    assert row["facts"] == {"parameters": 135_000_000, "context_length": 8192}
    assert {"label": "Parameters", "value": "135,000,000"} in row["sheet"]
    assert [each["card"] for each in row["disagreements"]] == ["context length of 2k"]


def test_what_is_not_public_has_no_history_here(
    token_client: Callable[..., Client], maintainer: User, client: Client
) -> None:
    make_card("hidden", is_published=False)
    hidden = ["acme", "hidden"]
    reader = token_client(maintainer, Scope.READ)
    for name, args in (
        ("revision-list", hidden),
        ("revision-detail", [*hidden, 1]),
        ("revision-readme", [*hidden, 1]),
        ("card-facts", hidden),
        ("card-limitations", hidden),
        ("card-comparison", hidden),
        ("revision-list", ["a\x00", "tiny"]),
    ):
        address = reverse(f"api:{name}", args=args)
        assert reader.get(address, {"from": 1, "to": 1} if "comparison" in name else {}).status_code == 404
        assert client.get(address).status_code == 401


@pytest.mark.parametrize("address", [LIST, FACTS])
def test_a_page_takes_the_same_queries_however_full(reader: Client, card: ModelCard, alice: User, address: str) -> None:
    reader.get(address)
    counts: list[int] = []
    for number in range(2):
        make_variant(card, f"v{number}")
        with CaptureQueriesContext(connection) as queries:
            assert reader.get(address).json()["results"]
        counts.append(len(queries))
        for each in range(3):
            publish_revision(card, f"{CARD_TEXT}{number}{each}", alice)
    assert counts[0] == counts[1] <= 8


def test_reading_needs_a_scope(token_client: Callable[..., Client], reviewer: User, card: Any) -> None:
    assert token_client(reviewer, Scope.REVIEW).get(LIST).status_code == 403
    assert token_client(reviewer, Scope.READ).post(LIST).status_code == 405
