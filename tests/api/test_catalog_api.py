"""Who one is, cards, variants and the leaderboard over REST: what is published, page by page, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.arena.models import Outcome, Pool, Ranking
from portal.arena.tasks import refresh_ranking
from portal.catalog.models import AccessRequest, AccessState, Gate, ModelCard
from tests.arena.contests import add_votes
from tests.catalog.shelf import make_card, make_variant

pytestmark = pytest.mark.django_db
CARDS, VARIANTS, BOARD = (reverse(f"api:{name}") for name in ("card-list", "variant-list", "leaderboard"))


@pytest.fixture
def reader(token_client: Callable[..., Client], alice: User) -> Client:
    return token_client(alice, Scope.READ)


def read_all(client: Client, address: str, **query: Any) -> list[dict[str, Any]]:
    rows, following = [], client.get(address, query).json()
    while True:
        rows += following["results"]
        if following["next"] is None:
            return rows
        following = client.get(following["next"]).json()


def test_a_token_says_who_it_speaks_for_and_what_it_may(
    token_client: Callable[..., Client], reviewer: User, alice_client: Client, client: Client
) -> None:
    told = token_client(reviewer, Scope.REVIEW).get(reverse("api:me")).json()
    assert (told["username"], told["roles"], told["scopes"]) == ("reviewer", ["contributor", "reviewer"], ["review"])
    assert (told["token"]["name"], told["token"]["expires_at"]) == ("test", None)
    session = alice_client.get(reverse("api:me")).json()
    assert (session["token"], session["scopes"]) == (None, [scope.value for scope in Scope])
    assert client.get(reverse("api:me")).status_code == 401


def test_following_next_reads_every_published_card_once(reader: Client) -> None:
    for number in range(5):
        make_variant(make_card(f"card-{number}"))
    make_variant(make_card("hidden", is_published=False))
    first = reader.get(CARDS, {"limit": 2}).json()
    make_card("late")
    names = [row["name"] for row in first["results"]] + [row["name"] for row in read_all(reader, first["next"])]
    assert names == [*(f"acme/card-{number}" for number in range(5)), "acme/late"]
    assert [row["card"] for row in read_all(reader, VARIANTS, limit=2)] == names[:5]


def test_a_card_and_its_variant_are_told_whole(reader: Client) -> None:
    card = make_card()
    variant = make_variant(card, digests={"model.safetensors": "9f"}, facts={"parameters": 5, "context_length": 64})
    row = reader.get(CARDS).json()["results"][0]
    one = reader.get(reverse("api:card-detail", args=["acme", "tiny"])).json()
    assert one == {**row, "metadata": one["metadata"], "text": card.current_revision and card.current_revision.text}
    assert (row["variants"], row["gate"], row["may_run"], row["revision"]) == (["acme/tiny:bf16"], "open", True, 1)
    told = reader.get(VARIANTS, {"card": "acme/tiny"}).json()["results"][0]
    assert (told["id"], told["facts"], told["weights_sha256"]) == ("acme/tiny:bf16", variant.facts, variant.digests)
    assert (told["context_length"], told["may_run"]) == (64, True)


def test_what_is_not_published_is_not_there_not_even_for_its_maintainer(
    token_client: Callable[..., Client], maintainer: User
) -> None:
    make_variant(make_card("hidden", is_published=False))
    client = token_client(maintainer, Scope.READ)
    assert client.get(CARDS).json()["results"] == []
    assert client.get(VARIANTS).json()["results"] == []
    assert client.get(reverse("api:card-detail", args=["acme", "hidden"])).status_code == 404
    assert client.get(VARIANTS, {"card": "acme/hidden"}).status_code == 400


def test_a_gate_says_whether_it_is_open_to_the_reader(reader: Client, alice: User) -> None:
    card = make_card(gate=Gate.APPROVAL)
    make_variant(card)
    assert [reader.get(each).json()["results"][0]["may_run"] for each in (CARDS, VARIANTS)] == [False, False]
    AccessRequest.objects.create(card=card, user=alice, state=AccessState.GRANTED)
    assert [reader.get(each).json()["results"][0]["may_run"] for each in (CARDS, VARIANTS)] == [True, True]


def test_where_an_upstream_is_stays_the_operators(reader: Client) -> None:
    facts = {"upstream_url": "http://10.0.0.7:8001/v1", "upstream_key": "inner", "upstream_model": "org/name"}
    make_variant(make_card(), backend="openai", source="http://10.0.0.7:8001/v1", facts=facts)
    response = reader.get(VARIANTS)
    assert response.json()["results"][0]["facts"] == {"upstream_model": "org/name"}
    assert b"10.0.0.7" not in response.content


@pytest.mark.parametrize("address", [CARDS, VARIANTS])
def test_a_page_takes_the_same_queries_however_full(reader: Client, address: str) -> None:
    # The first request notes the use of the token.
    reader.get(address)
    counts = []
    for size in (1, 6):
        while ModelCard.objects.count() < size:
            make_variant(make_card(f"card-{ModelCard.objects.count()}", gate=Gate.AGREEMENT))
        with CaptureQueriesContext(connection) as queries:
            assert len(reader.get(address).json()["results"]) == size
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_cards_are_narrowed_by_what_they_say(reader: Client) -> None:
    make_variant(make_card("runs"))
    make_variant(make_card("rests", gate=Gate.APPROVAL), is_runnable=False)
    assert [row["name"] for row in read_all(reader, CARDS, runnable=1)] == ["acme/runs"]
    assert [row["variant"] for row in read_all(reader, VARIANTS, runnable=1)] == ["bf16"]
    assert read_all(reader, CARDS, license="no-such-licence") == []


def test_the_leaderboard_is_the_ranking_with_intervals_and_names(reader: Client) -> None:
    pool = Pool.objects.get_or_create(slug="models", defaults={"title": "Models"})[0]
    best, worst = make_variant(make_card("best")), make_variant(make_card("worst"))
    assert reader.get(BOARD, {"pool": pool.slug}).json()["models"] == []
    add_votes([(best, worst, Outcome.A)] * 6 + [(worst, best, Outcome.A)] * 2)
    waiting = reader.get(BOARD, {"pool": pool.slug}).json()
    assert (waiting["computed_at"], waiting["newer"], waiting["is_current"]) == (None, 8, False)
    assert refresh_ranking(Ranking.objects.get())
    told = reader.get(BOARD, {"pool": pool.slug}).json()
    assert (told["votes"], told["newer"], told["is_current"]) == (8, 0, True)
    assert [row["model"] for row in told["models"]] == ["acme/best:bf16", "acme/worst:bf16"]
    first = told["models"][0]
    assert (first["n"], first["wins"], first["score"]["share"]) == (8, 6, 0.75)
    assert first["plain"]["lower"] <= first["plain"]["elo"] <= first["plain"]["upper"]
    ModelCard.objects.filter(slug="worst").update(is_published=False)
    assert [row["model"] for row in reader.get(BOARD).json()["models"]] == ["acme/best:bf16", None]
    assert reader.get(BOARD, {"pool": "none"}).status_code == 404


@pytest.mark.parametrize(
    ("address", "query", "parameter"),
    [
        (CARDS, {"limit": 0}, "limit"),
        (CARDS, {"limit": 1001}, "limit"),
        (CARDS, {"cursor": "AAAA"}, "cursor"),
        (CARDS, {"cursor": "é"}, "cursor"),
        (CARDS, {"runnable": "yes"}, "runnable"),
        (CARDS, {"gate": "ajar"}, "gate"),
        (CARDS, {"license": "a\x00"}, "license"),
        (CARDS, {"owner": "acme"}, "owner"),
        (VARIANTS, {"card": "acme"}, "card"),
        (VARIANTS, {"card": "acme/none"}, "card"),
        (BOARD, {"days": 8}, "days"),
        (BOARD, {"language": "e1"}, "language"),
        (BOARD, {"category": "none"}, "category"),
        (BOARD, {"hard": "yes"}, "hard"),
        (BOARD, {"pool": "a\x00"}, "pool"),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(
    reader: Client, address: str, query: dict[str, Any], parameter: str
) -> None:
    Pool.objects.get_or_create(slug="general", defaults={"title": "General"})
    response = reader.get(address, query)
    assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, parameter)


@pytest.mark.parametrize("address", [CARDS, VARIANTS, BOARD])
def test_reading_needs_a_scope(
    token_client: Callable[..., Client], reviewer: User, client: Client, address: str
) -> None:
    assert client.get(address).status_code == 401
    assert token_client(reviewer, Scope.REVIEW).get(address).status_code == 403
    assert token_client(reviewer, Scope.READ).post(address).status_code == 405
