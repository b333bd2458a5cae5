"""Runs over REST: read, followed, stopped and run again by their owner; nobody else finds them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.accounts.models import Scope, User
from portal.catalog.models import Variant
from portal.playground.models import Generation, Kind, State
from portal.playground.run_record import run_record
from tests.api.runs import JSON, TOKENS, URL, address, traced
from tests.playground.turns import add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db


def test_a_run_is_read_whole_in_parts_and_not_again(client_of_alice: Client, alice: User, variant: Variant) -> None:
    usage, timings = {"prompt_tokens": 5, "completion_tokens": 11}, {"first_token_s": 0.5, "decode_s": 2.0}
    run = add_turn(make_conversation(alice), variant, usage=usage, timings=timings)
    response = client_of_alice.get(address(run))
    told = response.json()
    assert (told["output"], told["finish_reason"], told["queue"]) == ("A balance with two arms.", "stop", None)
    figures = {"first_token_s": 0.5, "tokens_per_s": 5.0, "prompt_tokens": 5, "completion_tokens": 11}
    assert (told["figures"], told["error"]) == (figures, None)
    for header in ("RateLimit", "RateLimit-Policy", "X-Request-ID"):
        assert response[header]
    known = client_of_alice.get(address(run), headers={"If-None-Match": response["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    part = client_of_alice.get(address(run), {"fields": "id,output"})
    assert (list(part.json()), part["ETag"]) == (["id", "output"], response["ETag"])


def test_what_a_run_names_comes_along_where_it_is_asked_for(
    client_of_alice: Client, alice: User, variant: Variant
) -> None:
    run = add_turn(make_conversation(alice, "On balances"), variant)
    for url, row in ((address(run), lambda told: told), (URL, lambda told: told["results"][0])):
        # Named twice, it is expanded once.
        told = row(client_of_alice.get(url, {"expand": "conversation,variant,conversation"}).json())
        assert (told["conversation"]["title"], told["conversation"]["turn_count"]) == ("On balances", 1)
        assert (told["variant"]["id"], told["variant"]["may_run"]) == ("smol/lm2:bf16", True)
        refused = client_of_alice.get(url, {"expand": "conversation,owner"})
        [error] = refused.json()["errors"]
        assert (refused.status_code, error["parameter"]) == (400, "expand")
        assert error["detail"] == "There is no “owner” here. There are: conversation, variant."


def test_a_list_takes_the_same_queries_however_full(client_of_alice: Client, alice: User, variant: Variant) -> None:
    # The first request notes the use of the token.
    client_of_alice.get(URL)
    counts = []
    for size in (1, 6):
        while Generation.objects.count() < size:
            add_turn(make_conversation(alice), variant)
        with CaptureQueriesContext(connection) as queries:
            rows = client_of_alice.get(URL, {"expand": "conversation,variant"}).json()["results"]
        assert len(rows) == size
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


def test_following_next_reads_every_run_once_while_others_arrive(
    client_of_alice: Client, alice: User, bob: User, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    runs = [add_turn(conversation, variant) for _ in range(5)]
    # Of two at one moment, neither is lost.
    Generation.objects.filter(pk__in=[run.pk for run in runs[1:3]]).update(created_at=runs[1].created_at)
    add_turn(make_conversation(bob), variant)
    page = client_of_alice.get(URL, {"limit": 2, "fields": "id"}).json()
    read = page["results"]
    while page["next"]:
        add_turn(conversation, variant)
        page = client_of_alice.get(page["next"]).json()
        read += page["results"]
    assert {row["id"] for row in read} == {str(run.pk) for run in runs}
    assert [read[0]["id"], read[-1]["id"], len(read)] == [str(runs[4].pk), str(runs[0].pk), 5]


def test_a_list_is_narrowed(client_of_alice: Client, alice: User, bob: User, variant: Variant) -> None:
    run = add_turn(make_conversation(alice), variant)
    waiting = add_turn(make_conversation(alice), variant, state=State.QUEUED, kind=Kind.SCORE)

    def ids(**query: Any) -> list[str]:
        return [row["id"] for row in client_of_alice.get(URL, query).json()["results"]]

    assert ids(state="queued") == ids(kind="score") == [str(waiting.pk)]
    assert ids(conversation=run.conversation_id) == [str(run.pk)]
    assert client_of_alice.get(URL, {"conversation": make_conversation(bob).pk}).status_code == 404
    for query in ({"state": "ended"}, {"kind": "song"}, {"conversation": "5"}, {"limit": 1001}, {"cursor": "x"}):
        response = client_of_alice.get(URL, query)
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, next(iter(query)))


def test_a_run_is_stopped_and_one_that_ended_stays(client_of_alice: Client, alice: User, variant: Variant) -> None:
    waiting = add_turn(make_conversation(alice), variant, state=State.QUEUED)
    told = client_of_alice.post(address(waiting, "cancel"), content_type=JSON)
    assert (told.status_code, told.json()["state"], told.json()["finish_reason"]) == (200, "cancelled", "cancelled")
    running = add_turn(make_conversation(alice), variant, state=State.RUNNING)
    assert client_of_alice.post(address(running, "cancel"), {}, JSON).json()["state"] == "running"
    assert Generation.objects.get(pk=running.pk).cancel_requested_at is not None
    ended = add_turn(make_conversation(alice), variant)
    assert client_of_alice.post(address(ended, "cancel"), content_type=JSON).json()["state"] == "succeeded"
    refused = client_of_alice.post(address(ended, "cancel"), {"now": True}, JSON)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/now")


def test_a_trace_is_the_permalinks_record_with_every_token(
    client_of_alice: Client, alice: User, variant: Variant
) -> None:
    run = traced(add_turn(make_conversation(alice), variant, rendered_prompt="<user>", provenance={"dtype": "bf16"}))
    response = client_of_alice.get(address(run, "trace"))
    assert response.json() == {**run_record(run), "tokens": TOKENS, "score": None}
    assert client_of_alice.get(address(run, "trace"), headers={"If-None-Match": response["ETag"]}).status_code == 304
    assert client_of_alice.get(address(run, "trace"), {"fields": "tokens"}).json() == {"tokens": TOKENS}


def test_a_scored_texts_trace_has_its_perplexity(client_of_alice: Client, alice: User, variant: Variant) -> None:
    run = traced(add_turn(make_conversation(alice), variant, kind=Kind.SCORE))
    score = client_of_alice.get(address(run, "trace")).json()["score"]
    assert (score["measured"], score["logprob_sum"]) == (2, -1.5)
    assert score["perplexity"] == pytest.approx(2.117, abs=1e-3)


def test_a_prompt_is_answered_again_with_another_seed_or_other_settings(
    client_of_alice: Client, alice: User, variant: Variant
) -> None:
    other = make_variant(slug="q4", defaults={"temperature": 1.5, "max_tokens": 9})
    run = add_turn(make_conversation(alice), variant)
    same = client_of_alice.post(address(run, "again"), {}, JSON).json()
    assert same["parameters"] | {"seed": 7} == run.params
    assert (same["parameters"]["seed"] != 7, same["parent"], same["rerun_of"]) == (True, None, None)
    body = {"variant": other.model_id, "parameters": {"max_tokens": 5}}
    changed = client_of_alice.post(address(run, "again"), body, JSON).json()
    assert (changed["variant"], changed["conversation"]) == ("smol/lm2:q4", str(run.conversation_id))
    assert (changed["parameters"]["temperature"], changed["parameters"]["max_tokens"]) == (1.5, 5)
    exact = client_of_alice.post(address(run, "rerun"), content_type=JSON).json()
    assert (exact["rerun_of"], exact["parameters"]) == (str(run.pk), run.params)


def test_an_answer_goes_on_from_another_token(client_of_alice: Client, alice: User, variant: Variant) -> None:
    run = traced(add_turn(make_conversation(alice), variant))
    told = client_of_alice.post(address(run, "branch"), {"token": 1, "alternative": 1}, JSON).json()
    assert (told["branched_from"], told["branch_token"]) == (str(run.pk), 1)
    assert [each["text"] for each in Generation.objects.get(pk=told["id"]).opening] == ["A", " ship"]
    for body, pointer in (
        ({"token": 9, "alternative": 0}, "/token"),
        ({"token": 0, "alternative": 0}, "/alternative"),
        ({"token": True, "alternative": 0}, "/token"),
        ({"token": 0}, "/alternative"),
    ):
        response = client_of_alice.post(address(run, "branch"), body, JSON)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, pointer)


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_else_finds_a_run(
    token_client: Callable[..., Client],
    alice: User,
    charlie_client: Client,
    charlie: User,
    variant: Variant,
    method: str,
) -> None:
    run = traced(add_turn(make_conversation(alice), variant))
    deleted = add_turn(make_conversation(alice, deleted_at=timezone.now()), variant)
    reads, writes = ("detail", "trace", "events"), ("cancel", "again", "rerun", "branch")
    body = {"branch": {"token": 1, "alternative": 1}}
    foreign = token_client(charlie, Scope.READ, Scope.SUBMIT)
    for what in reads if method == "get" else writes:
        for client, found in ((foreign, run), (charlie_client, run), (token_client(alice, Scope.SUBMIT), deleted)):
            send = getattr(client, method)
            more = {"data": body.get(what, {}), "content_type": JSON} if method == "post" else {}
            assert send(address(found, what), **more).status_code == 404, what
        assert getattr(Client(), method)(address(run, what), content_type=JSON).status_code == 401
    assert Generation.objects.count() == 2


def test_a_token_does_what_its_scopes_say(
    token_client: Callable[..., Client], alice: User, alice_client: Client, variant: Variant
) -> None:
    run = add_turn(make_conversation(alice), variant)
    statuses = {
        scope: [
            token_client(alice, scope).get(address(run)).status_code,
            token_client(alice, scope).post(address(run, "rerun"), content_type=JSON).status_code,
        ]
        for scope in (Scope.READ, Scope.SUBMIT, Scope.EXPORT)
    }
    assert statuses == {Scope.READ: [200, 403], Scope.SUBMIT: [200, 201], Scope.EXPORT: [403, 403]}
    # A signed-in browser may do what its person may.
    assert alice_client.get(address(run)).status_code == 200
    assert token_client(alice, Scope.READ).delete(address(run)).status_code == 405


def test_a_failed_run_says_why_and_a_waiting_one_when(client_of_alice: Client, alice: User, variant: Variant) -> None:
    columns = {"error_code": "internal", "error_message": "It broke."}
    failed = add_turn(make_conversation(alice), variant, output="", state=State.FAILED, **columns)
    assert client_of_alice.get(address(failed)).json()["error"] == {"code": "internal", "message": "It broke."}
    earlier = timezone.now() - timedelta(seconds=9)
    add_turn(make_conversation(alice), variant, state=State.QUEUED, queued_at=earlier)
    waiting = add_turn(make_conversation(alice), variant, state=State.QUEUED)
    assert client_of_alice.get(address(waiting)).json()["queue"]["position"] == 2
