"""Following runs with a token: the playground's own events, resumed by their ids, for their owner alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.playground import following
from portal.playground.models import State
from portal.playground.server_sent import server_sent
from tests.arena.contests import make_contest
from tests.playground.turns import add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no stream here to wait for."""
    monkeypatch.setattr(following, "ROW_INTERVAL_S", 0.01)
    monkeypatch.setattr(following, "LAST_LOOK_S", 0.01)


@pytest.fixture
def bearer(alice: User) -> str:
    return f"Bearer {create_token(alice, name='test', scopes=[Scope.SUBMIT], lifetime=None)[1]}"


def read(address: str, **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """All events until the server ends the stream."""

    async def collect() -> bytes:
        response = await AsyncClient().get(address, headers=headers)
        assert (response.status_code, response["Cache-Control"]) == (200, "no-store"), response.content
        assert response["Content-Type"].startswith("text/event-stream")
        assert response["RateLimit"]
        return b"".join([chunk async for chunk in response.streaming_content])

    blocks = [
        dict(line.split(": ", 1) for line in each.splitlines())
        for each in async_to_sync(collect)().decode().split("\n\n")
    ]
    return [(fields["event"], json.loads(fields["data"])) for fields in blocks if "event" in fields]


def test_a_run_is_followed_to_its_end_and_resumed(alice: User, bearer: str) -> None:
    run = add_turn(make_conversation(alice), make_variant(), output="A balance.", usage={"a": 1}, attempt=2)
    address = reverse("api:generation-events", args=[run.pk])
    for accept in ("text/event-stream", "*/*"):
        assert read(address, Authorization=bearer, Accept=accept) == [
            ("delta", {"text": "A balance.", "channel": "answer", "tokens": []}),
            ("finished", {"finish_reason": "stop", "usage": {"a": 1}, "timings": {}}),
        ]
    resumed = read(address, **{"Authorization": bearer, "Last-Event-ID": "2-7"})
    assert [name for name, _data in resumed] == ["reset", "delta", "finished"]


def test_a_battle_is_followed_without_a_name(alice: User, bearer: str) -> None:
    contest = make_contest(alice, [make_variant(), make_variant("other/tiny")])
    address = reverse("api:battle-events", args=[contest.pk])
    events = read(address, Authorization=bearer)
    texts = {side: "".join(data["text"] for _name, data in events if data.get("side") == side) for side in "ab"}
    assert (texts, events[-1]) == ({"a": "Answer A.", "b": "Answer B."}, ("done", {}))
    assert "tiny" not in str(events)


@pytest.mark.parametrize("kind", ["generation", "battle"])
def test_a_head_has_a_streams_headers_and_is_over_at_once(
    token_client: Callable[..., Client], alice: User, charlie: User, kind: str
) -> None:
    address = events_of_a_waiting_run(alice, kind)
    own = token_client(alice, Scope.READ)
    about: Any = own.head(address)
    assert about.status_code == 200
    assert about.headers.keys() == own.get(address).headers.keys()
    assert about["Content-Type"] == "text/event-stream; charset=utf-8"
    assert own.head(address, headers={"Last-Event-ID": "nonsense"}).status_code == 400
    assert token_client(charlie, Scope.READ).head(address).status_code == 404


def test_no_run_is_followed_for_a_head() -> None:
    async def collect() -> list[bytes]:
        # The test client drops what a HEAD answers, and with it whatever made it last.
        return [chunk async for chunk in server_sent(never_ending(), "HEAD")]

    assert async_to_sync(collect)() == []


async def never_ending() -> AsyncIterator[bytes]:
    while True:
        yield b"data: 1\n\n"


def events_of_a_waiting_run(alice: User, kind: str) -> str:
    if kind == "battle":
        thing = make_contest(alice, [make_variant(), make_variant("other/tiny")]).pk
    else:
        thing = add_turn(make_conversation(alice), make_variant(), state=State.QUEUED).pk
    return reverse(f"api:{kind}-events", args=[thing])


@pytest.mark.parametrize("kind", ["generation", "battle"])
def test_a_stream_is_refused_in_a_problem_document(
    token_client: Callable[..., Client], alice: User, charlie: User, kind: str
) -> None:
    address = events_of_a_waiting_run(alice, kind)
    own = token_client(alice, Scope.READ)
    bad = own.get(address, headers={"Last-Event-ID": "nonsense"})
    assert (bad.status_code, bad.json()["errors"][0]["parameter"]) == (400, "Last-Event-ID")
    assert own.get(address, headers={"Accept": "application/json"}).status_code == 406
    assert token_client(charlie, Scope.READ).get(address).status_code == 404
    assert token_client(alice, Scope.EXPORT).get(address).status_code == 403
    assert Client().get(address).status_code == 401
