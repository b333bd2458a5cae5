"""The arena's pages: whose they are, what they never say before the vote, and what they say after it."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.urls import reverse

from portal.accounts.models import User
from portal.arena.models import Comparison, Contest, Outcome, Vote
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from tests.arena.contests import finish, make_contest
from tests.conftest import signed_in
from tests.playground.turns import make_variant


def begin(client: Client, prompt: str = "What is a steelyard?", **fields: str) -> Contest:
    form = {"prompt": prompt, "pool": "models", "request_key": str(uuid.uuid4())} | fields
    response = client.post(reverse("arena:arena"), form)
    assert response.status_code == 302, response.content.decode()
    return Contest.objects.get(pk=response["Location"].split("/")[-2])


def vote(client: Client, contest: Contest, outcome: str = "a") -> Any:
    return client.post(reverse("arena:battle_vote", args=[contest.pk]), {"outcome": outcome}, follow=True)


def secrets_of(contest: Contest) -> list[str]:
    """Everything that would tell who answers, or lead to it."""
    told = []
    for contender in contest.contenders.select_related("variant__card", "conversation"):
        variant = contender.variant
        told += [variant.model_id, variant.card.slug, variant.card.title, f"/models/{variant.card.name}"]
        told += [str(contender.conversation_id), *(str(each.generation_id) for each in contender.replies.all())]
    # The figures that the tests' workers measured.
    return [*told, "1234", "1,234", "7654", "987.6"]


def says(text: str, told: str) -> bool:
    """Of a number, not where it is a part of a random id."""
    return re.search(rf"(?<![\w-]){told}(?![\w-])", text) is not None if told.isdecimal() else told in text


def read_events(user: User, contest: Contest, **headers: str) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    async def collect() -> tuple[bytes, str]:
        client = AsyncClient()
        await client.aforce_login(user)
        response = await client.get(reverse("arena:battle_events", args=[contest.pk]), headers=headers)
        assert response.status_code == 200
        said = b"".join([chunk async for chunk in response.streaming_content])
        return said, str(response.headers)

    said, sent_headers = async_to_sync(collect)()
    events = []
    for block in said.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return said.decode() + sent_headers, events


@pytest.mark.django_db(transaction=True)
def test_nothing_says_who_answers_before_the_vote(alice: User, bob_client: Client) -> None:
    one, other = make_variant("smol/lm2", "bf16"), make_variant("tiny/tales", "q8-quant")
    client = signed_in(alice)
    contest = begin(client)
    running = client.get(contest.get_absolute_url())
    finish(contest, "A balance with two arms.", "An old kind of scale, which is longer to tell.", attempt=1)
    said, events = read_events(alice, contest)
    ended = client.get(contest.get_absolute_url())
    listed = client.get(reverse("arena:arena"))
    part = client.get(contest.get_absolute_url(), headers={"HX-Request": "true"})
    for told in secrets_of(contest):
        assert not says(said, told)
        for response in (running, ended, listed, part):
            assert not says(response.content.decode(), told), told
            assert not says(str(response.headers), told), told
    texts = {side: "".join(data["text"] for name, data in events if data.get("side") == side) for side in "ab"}
    assert texts == {"a": "A balance with two arms.", "b": "An old kind of scale, which is longer to tell."}
    assert (events[0][0], events[-1][0]) == ("reading", "done")
    assert "data-battle-status>Waiting in the queue<" in running.content.decode()
    # Nor do other ways to the runs.
    for run in Generation.objects.all():
        for name in ("playground:generation", "playground:events", "feedback:panel"):
            assert client.get(reverse(name, args=[run.pk])).status_code == 404
        assert client.get(run.conversation.get_absolute_url()).status_code == 404
        assert client.get(f"/api/v1/generations/{run.pk}/").status_code == 404
    after = vote(client, contest).content.decode()
    for variant in (one, other):
        assert variant.card.title in after
        assert variant.slug in after
    assert "1,234" in after
    more = reverse("feedback:comparison_questionnaires", args=[Comparison.objects.get().pk])
    assert f'href="{more}"' in after
    asked = reverse("feedback:report_comparison", args=[Comparison.objects.get().pk, "comparison"])
    assert asked in client.get(more).content.decode()
    for stranger in (Client(), bob_client):
        assert stranger.get(more).status_code == 404
        assert stranger.get(asked).status_code == 404
    assert client.get(run.conversation.get_absolute_url()).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_stream_goes_on_behind_the_last_event(alice: User, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    Generation.objects.filter(reply__contender__contest=contest).update(attempt=1)
    _said, events = read_events(alice, contest, **{"Last-Event-ID": "1.3-1.9"})
    texts = [(data["side"], data["text"]) for name, data in events if name == "text"]
    assert texts == [("a", "wer A.")]
    _said, events = read_events(alice, contest, **{"Last-Event-ID": "0.3-1.9"})
    assert [name for name, data in events if data.get("side") == "a"] == ["reset", "text", "end"]


@pytest.mark.django_db(transaction=True)
def test_nobody_else_reaches_a_battle(
    alice: User, bob_client: Client, visitor_client: Client, variants: list[Variant]
) -> None:
    contest = make_contest(alice, variants)
    for client in (bob_client, visitor_client, Client()):
        for name in ("battle", "battle_events"):
            assert client.get(reverse(f"arena:{name}", args=[contest.pk])).status_code == 404
        for name, args in (("battle_vote", ()), ("battle_stop", ()), ("battle_retry", (1, "a"))):
            response = client.post(reverse(f"arena:{name}", args=[contest.pk, *args]), {"outcome": "a"})
            assert response.status_code == 404
        assert client.post(contest.get_absolute_url(), {"prompt": "x"}).status_code == 404
    assert not Vote.objects.exists()
    # A battle is no comparison, and the other way round.
    assert signed_in(alice).get(reverse("arena:side_by_side", args=[contest.pk])).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_changes_take_a_post(alice: User, alice_client: Client, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    for name, args in (("battle_vote", ()), ("battle_stop", ()), ("battle_retry", (1, "a"))):
        assert alice_client.get(reverse(f"arena:{name}", args=[contest.pk, *args])).status_code == 405
    assert alice_client.post(reverse("arena:battle_events", args=[contest.pk])).status_code == 405


def test_a_second_vote_is_told(alice: User, alice_client: Client, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    assert "You preferred B" in vote(alice_client, contest, "b").content.decode()
    assert "You have voted on this battle already." in vote(alice_client, contest, "a").content.decode()
    assert [each.outcome for each in Vote.objects.all()] == [Outcome.B]


def test_a_vote_for_nothing_is_refused(alice: User, alice_client: Client, variants: list[Variant]) -> None:
    contest = make_contest(alice, variants)
    for outcome in ("", "c", "tie\x00"):
        assert "Choose A, B, a tie" in vote(alice_client, contest, outcome).content.decode()
    assert not Vote.objects.exists()


def test_a_visitor_has_battles_of_their_own(visitor_client: Client, variants: list[Variant]) -> None:
    contest = begin(visitor_client)
    finish(contest, "One.", "Two.")
    assert "You said: a tie" in vote(visitor_client, contest, "tie").content.decode()
    assert Vote.objects.get().visitor == contest.visitor


def test_a_refused_prompt_comes_back_with_its_reason(alice_client: Client, variants: list[Variant]) -> None:
    form = {"prompt": "x" * 40_000, "pool": "models", "request_key": str(uuid.uuid4())}
    response = alice_client.post(reverse("arena:arena"), form)
    assert response.status_code == 422
    assert "At most 32000 characters" in response.content.decode()
    assert "x" * 40_000 in response.content.decode()
    for fields in ({"prompt": ""}, {"pool": "none"}, {"request_key": "1"}):
        assert alice_client.post(reverse("arena:arena"), form | {"prompt": "Hi"} | fields).status_code == 422


def test_who_is_at_the_limit_is_told_when_to_try_again(
    alice_client: Client, variants: list[Variant], settings: Any
) -> None:
    settings.BATTLE_RATE = "1/hour"
    begin(alice_client)
    form = {"prompt": "More", "pool": "models", "request_key": str(uuid.uuid4())}
    response = alice_client.post(reverse("arena:arena"), form)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 3000


def test_the_next_turn_is_sent_from_the_battles_page(alice_client: Client, variants: list[Variant]) -> None:
    contest = begin(alice_client)
    finish(contest, "One.", "Two.")
    form = {"prompt": "And then?", "request_key": str(uuid.uuid4())}
    assert alice_client.post(contest.get_absolute_url(), form).status_code == 302
    page = alice_client.get(contest.get_absolute_url()).content.decode()
    assert page.count('data-side="') == 2
    assert "One." in page
    refused = alice_client.post(contest.get_absolute_url(), {"prompt": " ", "request_key": str(uuid.uuid4())})
    assert refused.status_code == 422


def test_a_side_that_failed_can_be_tried_again_without_a_word_on_why(
    alice_client: Client, variants: list[Variant]
) -> None:
    contest = begin(alice_client)
    finish(contest, "", "", state=State.FAILED, finish_reason="", error_code="upstream", error_message="vLLM of lm2")
    page = alice_client.get(contest.get_absolute_url()).content.decode()
    assert "This side could not answer." in page
    assert "vLLM" not in page
    alice_client.post(reverse("arena:battle_retry", args=[contest.pk, 1, "a"]))
    assert Generation.objects.filter(state=State.QUEUED).count() == 1
    assert alice_client.post(reverse("arena:battle_retry", args=[contest.pk, 7, "a"])).status_code == 404


def test_stop_stops_both(alice_client: Client, variants: list[Variant]) -> None:
    contest = begin(alice_client)
    alice_client.post(reverse("arena:battle_stop", args=[contest.pk]))
    assert {run.state for run in Generation.objects.all()} == {State.CANCELLED}


def test_without_two_variants_the_page_says_what_to_do(alice_client: Client, variant_alone: Variant) -> None:
    page = alice_client.get(reverse("arena:arena")).content.decode()
    assert "There are no two models to meet yet" in page
    assert not re.search(r"<form[^>]+arena/", page)


@pytest.fixture
def variant_alone(db: None) -> Variant:
    return make_variant()


def test_a_battles_page_takes_the_same_queries_whatever_its_turns(
    alice: User, alice_client: Client, variants: list[Variant], django_assert_max_num_queries: Any
) -> None:
    contest = begin(alice_client)
    for _turn in range(5):
        finish(contest, "One.", "Two.")
        alice_client.post(contest.get_absolute_url(), {"prompt": "On", "request_key": str(uuid.uuid4())})
    with django_assert_max_num_queries(9):
        page = alice_client.get(contest.get_absolute_url()).content.decode()
    # What is left is said before the battle. On it, the tokens that both used would tell of them.
    assert "tokens left" in alice_client.get(reverse("arena:arena")).content.decode()
    assert "tokens left" not in page
