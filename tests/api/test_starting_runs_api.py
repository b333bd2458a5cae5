"""Runs started over REST: by a prompt in its place and within limits, once under a key, or refused by name."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from portal.accounts.models import ApiToken, User
from portal.catalog.models import Gate, Variant
from portal.playground import prompt_messages
from portal.playground.context_room import measure_context
from portal.playground.models import Conversation, Generation, Kind, State
from tests.api.runs import JSON, URL, address, prompt, traced
from tests.inference.test_prompt_tokens import write_folder
from tests.playground.turns import add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db


def test_a_run_is_queued_with_its_address_its_place_and_a_seed(client_of_alice: Client, variant: Variant) -> None:
    body = prompt(variant, system_prompt="Be brief.", parameters={"temperature": 0.5, "stop": ["\n"]})
    response = client_of_alice.post(URL, body, JSON)
    run = Generation.objects.get()
    assert (response.status_code, response["Location"]) == (201, address(run))
    told = response.json()
    assert (told["id"], told["state"], told["queue"]) == (str(run.pk), "queued", {"position": 1, "eta_s": None})
    assert (told["variant"], told["parent"], told["parameters"]) == ("smol/lm2:bf16", None, run.params)
    assert (run.params["temperature"], run.params["stop"], run.params["top_p"]) == (0.5, ["\n"], 0.9)
    assert run.params["seed"] is not None
    assert run.messages[0] == {"role": "system", "content": "Be brief."}
    assert client_of_alice.get(f"{URL}{run.pk.hex}/").json()["id"] == told["id"], "as an id of /v1 has it"
    # It counts for the token's own quota.
    assert run.api_token == ApiToken.objects.get()
    assert client_of_alice.get(response["Location"]).json() == told


def test_a_prompt_follows_the_newest_run_or_the_one_named_or_none(
    client_of_alice: Client, alice: User, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant)
    second = add_turn(conversation, variant, first)
    named: dict[str, dict[str, Any]] = {
        "newest": {"conversation": str(conversation.pk)},
        "first": {"conversation": str(conversation.pk), "parent": str(first.pk)},
        "none": {"conversation": str(conversation.pk), "parent": None},
        "edited": {"edits": str(second.pk)},
    }
    parents = {}
    for name, members in named.items():
        response = client_of_alice.post(URL, prompt(variant, **members), JSON)
        assert response.status_code == 201, response.content
        parents[name] = response.json()["parent"]
        Generation.objects.filter(pk=response.json()["id"]).delete()
    assert parents == {"newest": str(second.pk), "first": str(first.pk), "none": None, "edited": str(first.pk)}
    assert Conversation.objects.count() == 1


@pytest.mark.parametrize("kind", [Kind.COMPLETION, Kind.SCORE])
def test_a_text_is_continued_or_scored_as_it_stands(client_of_alice: Client, variant: Variant, kind: Kind) -> None:
    assert client_of_alice.post(URL, prompt(variant, kind=kind), JSON).json()["kind"] == kind
    assert Generation.objects.get().kind == kind


@pytest.mark.parametrize(
    ("members", "pointer", "part"),
    [
        ({"variant": None}, "/variant", "null"),
        ({"variant": "no/such"}, "/variant", "does not run here"),
        ({"variant": "x" * 301}, "/variant", "300"),
        ({"prompt": ""}, "/prompt", "blank"),
        ({"prompt": " \n"}, "/prompt", "Write a prompt"),
        ({"prompt": 5}, "/prompt", "string"),
        ({"prompt": "x" * 200_001}, "/prompt", "characters"),
        ({"prompt": "a\x00b"}, "/prompt", "ull character"),
        ({"system_prompt": "x" * 200_001}, "/system_prompt", "characters"),
        ({"kind": "song"}, "/kind", "song"),
        ({"overflow": "burst"}, "/overflow", "burst"),
        ({"parameters": []}, "/parameters", "object"),
        ({"parameters": {"temperature": 3}}, "/parameters/temperature", "at most 2"),
        ({"parameters": {"heat": 1}}, "/parameters/heat", "not a sampling parameter"),
        ({"parameters": {"max_tokens": 30_000}}, "/parameters/max_tokens", "from 1 to 2048"),
        ({"parameters": {"max_tokens": 999_999}}, "/parameters/max_tokens", "from 1 to 2048"),
        ({"parameters": {"stop": "x"}}, "/parameters/stop", "list"),
        ({"parent": str(uuid.uuid4())}, "/conversation", "conversation"),
        ({"edits": "x"}, "/edits", "UUID"),
        ({"edits": str(uuid.uuid4()), "parent": None}, "/parent", "edits"),
        ({"temperature": 1}, "/temperature", "no such member"),
    ],
)
def test_a_bad_member_is_named_with_its_limit_and_nothing_is_started(
    client_of_alice: Client, variant: Variant, settings: Settings, members: dict[str, Any], pointer: str, part: str
) -> None:
    settings.MAX_PROMPT_CHARACTERS = settings.MAX_SYSTEM_PROMPT_CHARACTERS = 200_000
    settings.MAX_OUTPUT_TOKENS = 2_048
    response = client_of_alice.post(URL, prompt(variant) | members, JSON)
    assert (response.status_code, response.json()["type"]) == (400, "/api/problems/#invalid-request")
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert part in response.json()["errors"][0]["detail"]
    assert not Conversation.objects.exists()


def test_every_parameter_that_is_wrong_is_named_at_once(client_of_alice: Client, variant: Variant) -> None:
    parameters = {"top_p": 0, "heat": 1, "min_tokens": 9, "max_tokens": 8}
    response = client_of_alice.post(URL, prompt(variant, parameters=parameters), JSON)
    assert {error["pointer"] for error in response.json()["errors"]} == {
        "/parameters/top_p",
        "/parameters/heat",
        "/parameters/min_tokens",
    }


def test_other_peoples_conversations_and_runs_are_no_place_for_a_prompt(
    client_of_alice: Client, alice: User, bob: User, variant: Variant
) -> None:
    bobs = add_turn(make_conversation(bob), variant)
    own = add_turn(make_conversation(alice), variant)
    for members in ({"conversation": str(bobs.conversation_id)}, {"edits": str(bobs.pk)}):
        assert client_of_alice.post(URL, prompt(variant, **members), JSON).status_code == 404
    members = {"conversation": str(own.conversation_id), "parent": str(bobs.pk)}
    response = client_of_alice.post(URL, prompt(variant, **members), JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "/parent")
    waiting = add_turn(own.conversation, variant, own, state=State.QUEUED)
    response = client_of_alice.post(URL, prompt(variant, conversation=str(own.conversation_id)), JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "/parent")
    assert Generation.objects.order_by("created_at").last() == waiting


def test_a_prompt_that_leaves_no_room_is_refused_with_the_figures(
    client_of_alice: Client, tmp_path: Path, settings: Settings
) -> None:
    settings.STEELYARD_HOME = tmp_path
    write_folder(tmp_path, "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}")
    small = make_variant(source=".", facts={"context_length": 20}, defaults={"max_tokens": 4})
    response = client_of_alice.post(URL, prompt(small, prompt="w " * 30), JSON)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "/prompt")
    assert "reads at most 19" in response.json()["detail"]
    assert (
        client_of_alice.post(URL, prompt(small, prompt="w " * 30, overflow="let_engine_decide"), JSON).status_code
        == 201
    )


def test_limits_are_told_by_their_names(client_of_alice: Client, variant: Variant, settings: Settings) -> None:
    settings.MAX_CONCURRENT_GENERATIONS = 1
    assert client_of_alice.post(URL, prompt(variant), JSON).status_code == 201
    busy = client_of_alice.post(URL, prompt(variant), JSON)
    assert (busy.status_code, busy.json()["limit"]) == (429, "concurrent_generations")
    settings.API_TOKEN_RUNS_PER_DAY, settings.MAX_CONCURRENT_GENERATIONS = 1, 9
    used_up = client_of_alice.post(URL, prompt(variant), JSON)
    assert (used_up.status_code, used_up.json()["limit"]) == (429, "runs_per_day")
    assert int(used_up["Retry-After"]) > 80_000
    assert Generation.objects.count() == 1


def test_a_gate_is_told_with_the_way_to_ask(client_of_alice: Client) -> None:
    gated = make_variant("smol/gated")
    gated.card.gate = Gate.APPROVAL
    gated.card.save()
    response = client_of_alice.post(URL, prompt(gated), JSON)
    assert (response.status_code, response.json()["access"]) == (403, "/models/smol/gated/access/")


def test_a_prompt_is_counted_before_the_transaction_of_its_key(
    client_of_alice: Client, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    depths: list[int] = []

    def measure(*args: Any, **kwargs: Any) -> Any:
        depths.append(len(connection.savepoint_ids))
        return measure_context(*args, **kwargs)

    monkeypatch.setattr(prompt_messages, "measure_context", measure)
    outside = len(connection.savepoint_ids)
    key = {"Idempotency-Key": "long"}
    first, again = (client_of_alice.post(URL, prompt(variant), JSON, headers=key) for _ in range(2))
    assert (again.json()["id"], again["Idempotency-Replayed"]) == (first.json()["id"], "true")
    # On SQLite a transaction is everybody's: nobody writes while it lasts. A repetition counts nothing.
    assert depths == [outside]


def test_every_post_under_a_key_is_carried_out_once(client_of_alice: Client, alice: User, variant: Variant) -> None:
    run = traced(add_turn(make_conversation(alice), variant))
    posts: dict[str, tuple[str, dict[str, Any]]] = {
        "start": (URL, prompt(variant)),
        "again": (address(run, "again"), {}),
        "rerun": (address(run, "rerun"), {}),
        "branch": (address(run, "branch"), {"token": 1, "alternative": 1}),
    }
    for name, (url, body) in posts.items():
        before = Generation.objects.count()
        first, again = (client_of_alice.post(url, body, JSON, headers={"Idempotency-Key": name}) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201), first.content
        assert (again.json()["id"], again["Idempotency-Replayed"]) == (first.json()["id"], "true")
        assert Generation.objects.count() == before + 1
        Generation.objects.filter(pk=first.json()["id"]).update(state=State.FAILED, finished_at=timezone.now())
