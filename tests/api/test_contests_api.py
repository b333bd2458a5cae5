"""Comparisons and battles over REST: all answers or none, one vote, and names only behind it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from portal.accounts.actors import Actor
from portal.accounts.models import ApiToken, Scope, User
from portal.arena.models import Contest, Kind, Vote
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from portal.playground.quota import read_quotas
from tests.arena.contests import finish, make_contest
from tests.playground.turns import make_variant

pytestmark = pytest.mark.django_db
JSON = "application/json"
COMPARISONS, BATTLES = reverse("api:comparison-list"), reverse("api:battle-list")
NAMES = ("smol", "lm2", "other", "tiny", "bf16", "int8")


@pytest.fixture
def variants(db: None) -> list[Variant]:
    return [make_variant("smol/lm2"), make_variant("other/tiny", slug="int8")]


def address(contest: Contest, what: str = "detail") -> str:
    name = "battle" if contest.kind == Kind.BATTLE else "comparison"
    return reverse(f"api:{name}-{what}", args=[contest.pk])


def two(variants: list[Variant], **members: Any) -> dict[str, Any]:
    contenders = [{"variant": each.model_id, "parameters": {"seed": 7}} for each in variants]
    return {"prompt": "What is a steelyard?", "contenders": contenders} | members


def test_a_comparison_from_its_beginning_to_its_vote(client_of_alice: Client, variants: list[Variant]) -> None:
    begun = client_of_alice.post(COMPARISONS, two(variants, system_prompt="Be brief."), JSON)
    contest = Contest.objects.get()
    assert (begun.status_code, begun["Location"]) == (201, address(contest))
    told = begun.json()
    assert [(each["letter"], each["variant"]) for each in told["contenders"]] == [
        ("a", "smol/lm2:bf16"),
        ("b", "other/tiny:int8"),
    ]
    runs = [reply["generation"] for reply in told["turns"][0]["replies"]]
    assert {str(each.pk) for each in Generation.objects.filter(params__seed=7)} == set(runs)
    early = client_of_alice.post(address(contest, "vote"), {"verdict": "a"}, JSON)
    assert (early.status_code, early.json()["type"]) == (409, "/api/problems/#not-votable")

    finish(contest, "A balance.", "A ship.")
    read = client_of_alice.get(address(contest), {"expand": "generation,variant"})
    [turn] = read.json()["turns"]
    assert [reply["generation"]["output"] for reply in turn["replies"]] == ["A balance.", "A ship."]
    assert (read.json()["contenders"][1]["variant"]["card"], turn["is_votable"]) == ("other/tiny", True)
    known = client_of_alice.get(
        address(contest), {"expand": "generation,variant"}, headers={"If-None-Match": read["ETag"]}
    )
    assert known.status_code == 304

    vote = {"verdict": "a", "reasons": ["correct", "correct"]}
    voted = client_of_alice.post(address(contest, "vote"), vote, JSON, headers={"Idempotency-Key": "v"})
    assert (voted.status_code, voted.json()["is_voted"]) == (201, True)
    assert (voted.json()["turns"][0]["verdict"], voted.json()["turns"][0]["reasons"]) == ("a", ["correct"])
    replayed = client_of_alice.post(address(contest, "vote"), vote, JSON, headers={"Idempotency-Key": "v"})
    assert (replayed.status_code, replayed["Idempotency-Replayed"]) == (201, "true")
    second = client_of_alice.post(address(contest, "vote"), {"verdict": "b", "turn": 1}, JSON)
    assert (second.status_code, second.json()["type"]) == (409, "/api/problems/#already-voted")
    assert Vote.objects.count() == 1

    further = client_of_alice.post(address(contest, "turns"), {"prompt": "And now?"}, JSON)
    assert (further.status_code, [turn["number"] for turn in further.json()["turns"]]) == (201, [1, 2])
    stopped = client_of_alice.post(address(contest, "stop"), content_type=JSON)
    assert (stopped.status_code, stopped.json()["turns"][1]["is_active"]) == (200, False)
    assert set(Generation.objects.filter(reply__turn=2).values_list("state", flat=True)) == {State.CANCELLED}


def test_a_battle_tells_no_name_before_its_vote(client_of_alice: Client, variants: list[Variant]) -> None:
    begun = client_of_alice.post(BATTLES, {"prompt": "Which is heavier?"}, JSON, headers={"Idempotency-Key": "b"})
    contest = Contest.objects.get()
    assert (begun.status_code, begun["Location"]) == (201, address(contest))
    again = client_of_alice.post(BATTLES, {"prompt": "Which is heavier?"}, JSON, headers={"Idempotency-Key": "b"})
    assert (again.json()["id"], Contest.objects.count()) == (str(contest.pk), 1)
    finish(contest, "The left.", "The right.")
    everything = {"expand": "variant,conversation"}
    blind = [
        begun.content,
        client_of_alice.get(address(contest), everything | {"expand": "variant,generation"}).content,
        client_of_alice.get(BATTLES, everything).content,
    ]
    for content in blind:
        assert not [name for name in NAMES if name in content.decode()]
    told = client_of_alice.get(address(contest)).json()
    assert (told["is_blind"], told["contenders"], told["vote"], told["outcome"]) == (True, [], None, None)
    replies = told["turns"][0]["replies"]
    assert [(each["letter"], each["output"], each["generation"]) for each in replies] == [
        ("a", "The left.", None),
        ("b", "The right.", None),
    ]
    # Nor by the runs themselves.
    for run in Generation.objects.all():
        for what in ("detail", "trace", "events"):
            assert client_of_alice.get(reverse(f"api:generation-{what}", args=[run.pk])).status_code == 404
    assert client_of_alice.get(reverse("api:generation-list")).json()["results"] == []

    voted = client_of_alice.post(address(contest, "vote"), {"outcome": "b"}, JSON)
    assert (voted.status_code, voted.json()["is_blind"], voted.json()["outcome"]) == (201, False, "b")
    assert voted.json()["vote"] == {"outcome": "b", "is_ranked": True, "void_reason": ""}
    assert {each["variant"] for each in voted.json()["contenders"]} == {each.model_id for each in variants}
    assert voted.json()["turns"][0]["verdict"] == "b"
    second = client_of_alice.post(address(contest, "vote"), {"outcome": "a"}, JSON)
    assert (second.status_code, second.json()["type"]) == (409, "/api/problems/#already-voted")
    over = client_of_alice.post(address(contest, "turns"), {"prompt": "More?"}, JSON)
    assert (over.status_code, over.json()["errors"][0]["pointer"]) == (400, "/prompt")
    run = voted.json()["turns"][0]["replies"][0]["generation"]
    assert client_of_alice.get(reverse("api:generation-detail", args=[run])).status_code == 200


def test_a_blind_turn_is_whole_or_not_there(client_of_alice: Client, alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    left = Generation.objects.filter(reply__contender__position=0)
    left.update(state=State.QUEUED, finished_at=None)
    [turn] = client_of_alice.get(address(contest)).json()["turns"]
    assert [(each["output"], each["is_active"]) for each in turn["replies"]] == [("", True)] * 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"prompt": " "}, "/prompt"),
        ({"contenders": []}, "/contenders"),
        ({"contenders": [{"variant": "smol/lm2"}]}, "/contenders"),
        ({"contenders": [{"variant": "smol/lm2"}] * 5}, "/contenders"),
        ({"contenders": [{"variant": "smol/lm2"}, {"variant": "no/such"}]}, "/contenders/1/variant"),
        (
            {"contenders": [{"variant": "smol/lm2"}, {"variant": "smol/lm2", "parameters": {"top_p": 2}}]},
            "/contenders/1/parameters/top_p",
        ),
        ({"contenders": [{"variant": "smol/lm2"}, {"model": "smol/lm2"}]}, "/contenders/1/model"),
        ({"blind": True}, "/blind"),
    ],
)
def test_a_bad_comparison_names_the_member_and_begins_nothing(
    client_of_alice: Client, variants: list[Variant], change: dict[str, Any], pointer: str
) -> None:
    response = client_of_alice.post(COMPARISONS, two(variants, **change), JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, pointer)
    assert not Contest.objects.exists()


def test_a_bad_vote_or_battle_names_the_member(client_of_alice: Client, alice: User, variants: list[Variant]) -> None:
    battle = make_contest(alice, variants)
    comparison = make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    for url, body, pointer in (
        (address(battle, "vote"), {"outcome": "c"}, "/outcome"),
        (address(battle, "vote"), {}, "/outcome"),
        (address(comparison, "vote"), {"verdict": "c"}, "/verdict"),
        (address(comparison, "vote"), {"verdict": "e"}, "/verdict"),
        (address(comparison, "vote"), {"verdict": "a", "turn": 0}, "/turn"),
        (address(comparison, "vote"), {"verdict": "a", "reasons": ["fun"]}, "/reasons/0"),
        (BATTLES, {"prompt": "Hello", "pool": "none"}, "/pool"),
        (BATTLES, {"prompt": ""}, "/prompt"),
    ):
        response = client_of_alice.post(url, body, JSON)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, pointer), body
    assert client_of_alice.post(address(comparison, "vote"), {"verdict": "a", "turn": 9}, JSON).status_code == 409
    assert not Vote.objects.exists()


def test_no_battle_begins_where_no_two_can_meet(client_of_alice: Client) -> None:
    response = client_of_alice.post(BATTLES, {"prompt": "Hello"}, JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "/pool")


@pytest.mark.parametrize("kind", list(Kind))
def test_nobody_else_finds_one(
    token_client: Callable[..., Client], charlie: User, charlie_client: Client, alice: User, variants: list[Variant],
    kind: Kind,
) -> None:  # fmt: skip
    contest = make_contest(alice, variants, kind)
    posts = {"turns": {"prompt": "More?"}, "stop": {}, "vote": {"outcome": "a", "verdict": "a"}}
    posts["vote"] = {"outcome": "a"} if kind == Kind.BATTLE else {"verdict": "a"}
    foreign = token_client(charlie, Scope.READ, Scope.SUBMIT)
    for client, status in ((foreign, 404), (charlie_client, 404), (Client(), 401)):
        assert client.get(address(contest)).status_code == status
        for what, body in posts.items():
            assert client.post(address(contest, what), body, JSON).status_code == status
    if kind == Kind.BATTLE:
        assert foreign.get(address(contest, "events")).status_code == 404
    reading = token_client(alice, Scope.READ)
    assert reading.get(address(contest)).status_code == 200
    assert reading.post(address(contest, "vote"), posts["vote"], JSON).status_code == 403
    # A comparison is no battle, nor the other way round.
    other = "comparison" if kind == Kind.BATTLE else "battle"
    assert reading.get(reverse(f"api:{other}-detail", args=[contest.pk])).status_code == 404
    assert not Vote.objects.exists()


@pytest.mark.parametrize("kind", list(Kind))
def test_a_list_takes_the_same_queries_however_full(
    client_of_alice: Client, alice: User, bob: User, variants: list[Variant], kind: Kind
) -> None:
    url = BATTLES if kind == Kind.BATTLE else COMPARISONS
    make_contest(bob, variants, kind)
    client_of_alice.get(url)
    counts = []
    for size in (1, 5):
        while Contest.objects.filter(owner=alice).count() < size:
            make_contest(alice, variants, kind).reveal()
        with CaptureQueriesContext(connection) as queries:
            rows = client_of_alice.get(url, {"expand": "variant,conversation"}).json()["results"]
        assert [(row["turn_count"], len(row["contenders"])) for row in rows] == [(1, 2)] * size
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_following_next_reads_every_comparison_once(
    client_of_alice: Client, alice: User, variants: list[Variant]
) -> None:
    made = [str(make_contest(alice, variants, Kind.SIDE_BY_SIDE).pk) for _ in range(3)]
    page = client_of_alice.get(COMPARISONS, {"limit": 2, "fields": "id"}).json()
    make_contest(alice, variants, Kind.SIDE_BY_SIDE)
    rest = client_of_alice.get(page["next"]).json()
    assert [row["id"] for row in page["results"] + rest["results"]] == made[::-1]
    assert rest["next"] is None
    refused = client_of_alice.get(COMPARISONS, {"expand": "generation"})
    assert "variant, conversation" in refused.json()["errors"][0]["detail"]
    assert client_of_alice.get(reverse("api:battle-detail", args=[uuid.uuid4()])).status_code == 404


def test_a_battles_runs_count_for_its_token_and_account_before_the_vote_as_after_it(
    client_of_alice: Client, alice: User, variants: list[Variant], settings: Settings
) -> None:
    settings.API_TOKEN_RUNS_PER_DAY = 3
    actor = Actor(user=alice, api_token=ApiToken.objects.get())

    def used() -> list[int]:
        return [quota.runs_used for quota in read_quotas(actor)]

    assert client_of_alice.post(BATTLES, {"prompt": "Hello"}, JSON).status_code == 201
    contest = Contest.objects.get()
    assert used() == [2, 2]
    finish(contest, "One.", "Another.")
    refused = client_of_alice.post(address(contest, "turns"), {"prompt": "And now?"}, JSON)
    assert refused.status_code == 429, "one run is left, and a turn takes two"
    assert client_of_alice.post(address(contest, "vote"), {"outcome": "a"}, JSON).status_code == 201
    assert not contest.comparisons.get().generation_a.conversation.visitor
    assert used() == [2, 2]
