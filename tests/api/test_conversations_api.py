"""Conversations over REST: their owner's alone, changed only as they were read, and back after a deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation, State
from tests.playground.turns import add_turn, make_conversation, prompt_form

pytestmark = pytest.mark.django_db
URL = reverse("api:conversation-list")
JSON = "application/json"


def address(conversation: Conversation, what: str = "detail") -> str:
    return reverse(f"api:conversation-{what}", args=[conversation.pk])


def test_one_is_begun_empty_and_named_by_its_first_prompt(
    client_of_alice: Client, alice_client: Client, variant: Variant
) -> None:
    key = {"Idempotency-Key": "begun"}
    response = client_of_alice.post(URL, {"system_prompt": "Be brief."}, JSON, headers=key)
    conversation = Conversation.objects.get()
    assert (response.status_code, response["Location"]) == (201, address(conversation))
    assert (response.json()["title"], response.json()["turn_count"], response.json()["turns"]) == ("", 0, [])
    assert client_of_alice.post(URL, {"system_prompt": "Be brief."}, JSON, headers=key)["Idempotency-Replayed"]
    assert Conversation.objects.count() == 1

    # Its page takes the first prompt as well.
    page = alice_client.get(conversation.get_absolute_url())
    assert (page.status_code, b"Be brief." in page.content) == (200, True)
    form = prompt_form(variant, system_prompt="Be brief.")
    assert alice_client.post(conversation.get_absolute_url(), form).status_code == 302
    run = Generation.objects.get()
    assert (run.conversation, run.parent) == (conversation, None)
    told = client_of_alice.get(address(conversation)).json()
    assert (told["title"], told["turn_count"], told["variant"]) == ("What is a steelyard?", 1, "smol/lm2:bf16")


def test_a_tag_serves_a_change_however_it_was_read(client_of_alice: Client, alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    whole = client_of_alice.get(address(conversation))
    asked = ({"fields": "title"}, {"expand": "variant"}, {"fields": "title", "expand": "variant"})
    tags = [client_of_alice.get(address(conversation), query)["ETag"] for query in asked]
    # What is shown is part of the tag: a reader is told when the thing in an id's place changes.
    assert [tag == whole["ETag"] for tag in tags] == [True, False, False]
    assert client_of_alice.get(address(conversation), asked[1], headers={"If-None-Match": tags[1]}).status_code == 304
    for tag in tags:
        change = {"title": whole.json()["title"]}
        kept = client_of_alice.patch(address(conversation), change, JSON, headers={"If-Match": tag})
        assert kept.status_code == 200, tag
    assert client_of_alice.patch(address(conversation), {"title": "Else"}, JSON).status_code == 200
    for tag in (*tags, f"W/{whole['ETag']}", '"+"'):
        late = client_of_alice.delete(address(conversation), headers={"If-Match": tag})
        assert late.status_code == 412, tag
    assert client_of_alice.delete(address(conversation), headers={"If-Match": "*"}).status_code == 204


def test_a_tree_is_told_with_every_branch(client_of_alice: Client, alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant)
    left, right = add_turn(conversation, variant, first), add_turn(conversation, variant, first, output="Else.")
    response = client_of_alice.get(address(conversation))
    turns = response.json()["turns"]
    assert [turn["id"] for turn in turns] == [str(each.pk) for each in (first, left, right)]
    assert [turn["parent"] for turn in turns] == [None, str(first.pk), str(first.pk)]
    assert turns[1]["siblings"] == {"number": 1, "count": 2, "previous": None, "next": str(right.pk)}
    assert (turns[2]["siblings"]["previous"], turns[2]["output"]) == (str(left.pk), "Else.")
    assert (response.json()["turn_count"], response.json()["deleted_at"]) == (2, None)
    known = client_of_alice.get(address(conversation), headers={"If-None-Match": response["ETag"]})
    assert known.status_code == 304
    part = client_of_alice.get(address(conversation), {"fields": "title,variant", "expand": "variant"}).json()
    assert (part["title"], part["variant"]["id"], len(part)) == ("On balances", "smol/lm2:bf16", 2)


def test_reading_one_takes_the_same_queries_however_long(
    client_of_alice: Client, alice: User, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    client_of_alice.get(address(conversation))
    counts = []
    for size in (1, 6):
        while (had := conversation.generations.count()) < size:
            add_turn(conversation, variant, conversation.generations.first() if had else None)
        with CaptureQueriesContext(connection) as queries:
            assert len(client_of_alice.get(address(conversation)).json()["turns"]) == size
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5


def test_following_next_reads_every_conversation_once_while_others_arrive(
    client_of_alice: Client, alice: User, bob: User, variant: Variant
) -> None:
    own = [make_conversation(alice, f"Number {number}") for number in range(5)]
    make_conversation(bob)
    make_conversation(alice, is_listed=False)
    page = client_of_alice.get(URL, {"limit": 2}).json()
    titles = [row["title"] for row in page["results"]]
    while page["next"]:
        make_conversation(alice, "Late")
        # A new turn moves an old conversation up on its page, and here nowhere.
        Conversation.objects.filter(pk=own[0].pk).first().save()  # type: ignore[union-attr]
        page = client_of_alice.get(page["next"]).json()
        titles += [row["title"] for row in page["results"]]
    assert titles == [f"Number {number}" for number in (4, 3, 2, 1, 0)]


def test_a_list_takes_the_same_queries_however_full(client_of_alice: Client, alice: User, variant: Variant) -> None:
    client_of_alice.get(URL)
    counts = []
    for size in (1, 6):
        while Conversation.objects.count() < size:
            add_turn(make_conversation(alice), variant)
        with CaptureQueriesContext(connection) as queries:
            rows = client_of_alice.get(URL, {"expand": "variant", "limit": 1000}).json()["results"]
        assert ([row["turn_count"] for row in rows], rows[0]["variant"]["variant"]) == ([1] * size, "bf16")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


def test_a_list_is_searched_and_refuses_what_it_does_not_know(
    client_of_alice: Client, alice: User, variant: Variant
) -> None:
    add_turn(make_conversation(alice, "Weights"), variant, prompt="How heavy is a talent?")
    make_conversation(alice, "Else")
    assert [row["title"] for row in client_of_alice.get(URL, {"q": "talent"}).json()["results"]] == ["Weights"]
    for query in ({"q": ""}, {"q": "a\x00"}, {"q": "x" * 201}, {"deleted": "yes"}, {"expand": "turns"}, {"page": 2}):
        response = client_of_alice.get(URL, query)
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, next(iter(query)))


def test_it_is_changed_only_as_it_was_read(client_of_alice: Client, alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    turn = add_turn(conversation, variant)
    read = client_of_alice.get(address(conversation))
    change = {"title": " Lever  scales ", "system_prompt": "Be exact."}
    changed = client_of_alice.patch(address(conversation), change, JSON, headers={"If-Match": read["ETag"]})
    assert (changed.status_code, changed.json()["title"], changed.json()["system_prompt"]) == (
        200,
        "Lever scales",
        "Be exact.",
    )
    assert changed["ETag"] == client_of_alice.get(address(conversation))["ETag"] != read["ETag"]
    for method in (client_of_alice.patch, client_of_alice.delete):
        stale = method(address(conversation), {"title": "Mine"}, JSON, headers={"If-Match": read["ETag"]})
        assert (stale.status_code, stale.json()["type"]) == (412, "/api/problems/#precondition-failed")
    conversation.refresh_from_db()
    assert (conversation.title, conversation.is_deleted) == ("Lever scales", False)
    # What was asked stays as it was asked.
    assert Generation.objects.get(pk=turn.pk).messages == turn.messages


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"title": " "}, ["/title"]),
        ({"title": "x" * 121}, ["/title"]),
        ({"title": 5}, ["/title"]),
        ({"title": None}, ["/title"]),
        ({"title": "x" * 121, "system_prompt": "x" * 50_001}, ["/system_prompt", "/title"]),
        ({"owner": "bob"}, ["/owner"]),
        ({"system_prompt": "\x00"}, ["/system_prompt"]),
    ],
)
def test_a_bad_change_names_the_member_and_changes_nothing(
    client_of_alice: Client, alice: User, settings: Any, change: dict[str, Any], pointers: list[str]
) -> None:
    settings.MAX_SYSTEM_PROMPT_CHARACTERS = 50_000
    conversation = make_conversation(alice)
    response = client_of_alice.patch(address(conversation), change, JSON)
    assert response.status_code == 400
    assert sorted(error["pointer"] for error in response.json()["errors"]) == pointers
    assert client_of_alice.post(URL, change, JSON).status_code == 400 if change != {"title": " "} else 201
    conversation.refresh_from_db()
    assert (conversation.title, conversation.system_prompt) == ("On balances", "")


def test_it_is_deleted_and_taken_back(client_of_alice: Client, alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    waiting = add_turn(conversation, variant, state=State.QUEUED)
    assert client_of_alice.delete(address(conversation)).status_code == 204
    assert client_of_alice.get(address(conversation)).status_code == 404
    assert client_of_alice.get(URL).json()["results"] == []
    [gone] = client_of_alice.get(URL, {"deleted": 1}).json()["results"]
    assert (gone["id"], gone["deleted_at"] is None) == (str(conversation.pk), False)
    waiting.refresh_from_db()
    assert waiting.state == State.CANCELLED
    restored = client_of_alice.post(address(conversation, "restore"), content_type=JSON)
    assert (restored.status_code, restored.json()["title"]) == (200, "On balances")
    assert client_of_alice.post(address(conversation, "restore"), content_type=JSON).status_code == 404


def test_nobody_else_finds_one(
    token_client: Callable[..., Client], charlie_client: Client, charlie: User, alice: User, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    for client, status in (
        (token_client(charlie, Scope.READ, Scope.SUBMIT), 404),
        (charlie_client, 404),
        (Client(), 401),
        (token_client(charlie, Scope.EXPORT), 403),
    ):
        answers = [
            client.get(address(conversation)),
            client.patch(address(conversation), {"title": "Mine"}, JSON),
            client.delete(address(conversation)),
            client.post(address(conversation, "restore"), content_type=JSON),
        ]
        assert [each.status_code for each in answers] == [status] * 4
    conversation.refresh_from_db()
    assert (conversation.title, conversation.is_deleted) == ("On balances", False)
