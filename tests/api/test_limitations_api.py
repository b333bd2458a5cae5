"""Known limitations over REST: read, seconded once, made of accepted reports, changed, replayed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.actors import Actor
from portal.accounts.models import Scope, User
from portal.catalog.models import ModelCard
from portal.feedback.models import ReviewState, Submission
from portal.feedback.withdrawing import withdraw_submission
from portal.playground.models import Generation, State
from portal.reviews.models import Limitation, ReplayRun
from portal.reviews.services.limitations import make_limitation, say_me_too
from tests.feedback.judgements import judge, make_variant

pytestmark = pytest.mark.django_db
LIST = reverse("api:limitation-list")
JSON = "application/json"


@pytest.fixture
def reader(token_client: Callable[..., Client], bob: User) -> Client:
    return token_client(bob, Scope.READ, Scope.SUBMIT)


@pytest.fixture
def maker(token_client: Callable[..., Client], maintainer: User) -> Client:
    return token_client(maintainer, Scope.ADMIN)


@pytest.fixture
def report(alice: User) -> Submission:
    submission = judge(alice, thumb="down", comment="A ship, it says.")
    submission.move_review(list(ReviewState), ReviewState.ACCEPTED)
    return submission


@pytest.fixture
def limitation(maintainer: User, report: Submission) -> Limitation:
    assert report.card is not None
    return make_limitation(maintainer, report.card, [str(report.pk)], title="Takes it for a ship")


def at(name: str, *args: Any) -> str:
    return reverse(f"api:{name}", args=args)


def test_a_limitation_is_made_of_accepted_reports_and_stands_on_its_card(
    maker: Client, reader: Client, report: Submission
) -> None:
    body = {"card": "smol/lm2", "reports": [str(report.pk)], "title": "Takes it for a ship", "severity": "high"}
    made = maker.post(LIST, body, JSON, headers={"Idempotency-Key": "once"})
    again = maker.post(LIST, body, JSON, headers={"Idempotency-Key": "once"})
    assert (made.status_code, again.json(), again["Idempotency-Replayed"]) == (201, made.json(), "true")
    assert (made.json()["reports"], made.json()["state"], made.json()["version"]) == (1, "open", 1)
    on_card = reader.get(at("card-limitations", "smol", "lm2")).json()["results"]
    assert [row["id"] for row in on_card] == [made.json()["id"]]
    told = reader.get(at("submission-detail", report.pk))
    assert told.status_code == 200
    twice = maker.post(LIST, body, JSON)
    assert (twice.status_code, twice.json()["errors"][0]["pointer"]) == (400, "/reports")


def test_everybody_says_me_too_once(reader: Client, alice: User, limitation: Limitation) -> None:
    address = at("limitation-me-too", limitation.pk)
    first, second = reader.post(address), reader.post(address)
    assert (first.status_code, second.status_code) == (201, 200)
    assert (second.json()["me_too"], second.json()["said_me_too"]) == (1, True)
    assert reader.get(at("limitation-detail", limitation.pk)).json() == second.json()


def test_a_change_needs_the_version_that_was_read_and_not_the_counts(
    maker: Client, reader: Client, limitation: Limitation
) -> None:
    address = at("limitation-detail", limitation.pk)
    read = maker.get(address)
    reader.post(at("limitation-me-too", limitation.pk))
    changed = maker.patch(address, {"state": "confirmed"}, JSON, headers={"If-Match": read["ETag"]})
    assert (changed.status_code, changed.json()["state"], changed.json()["version"]) == (200, "confirmed", 2)
    stale = maker.patch(address, {"severity": "low"}, JSON, headers={"If-Match": read["ETag"]})
    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    assert maker.patch(address, {"severity": "low", "version": 1}, JSON).status_code == 409
    assert maker.get(address, headers={"If-None-Match": changed["ETag"]}).status_code == 304
    refused = maker.patch(address, {"state": "mitigated"}, JSON)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/mitigated_in")
    elsewhere = maker.patch(address, {"state": "mitigated", "mitigated_in": "no/such:one"}, JSON)
    assert elsewhere.status_code == 400
    mended = maker.patch(address, {"state": "mitigated", "mitigated_in": "smol/lm2:bf16"}, JSON).json()
    assert (mended["mitigated_in"], mended["title"]) == ("smol/lm2:bf16", "Takes it for a ship")


def test_a_replay_says_which_answers_flipped(
    maker: Client, reader: Client, limitation: Limitation, maintainer: User
) -> None:
    variant = make_variant("smol/other", "int8")
    variant.is_runnable = True
    variant.save()
    address = at("replay-list", limitation.pk)
    made = maker.post(address, {"model": "smol/other:int8", "rule": "phrase", "phrase": "arms"}, JSON)
    assert (made.status_code, made.json()["asked"], made.json()["known"]) == (201, 1, 0), made.content
    [run] = made.json()["runs"]
    Generation.objects.filter(pk=run["generation"]).update(
        state=State.SUCCEEDED, output="A ship.", finished_at=timezone.now()
    )
    told = reader.get(made["Location"]).json()
    assert (told["flipped"], told["known"], told["runs"]) == (1, 1, None)
    again = maker.post(at("replay-again", made.json()["id"]))
    assert (again.status_code, again.json()["asked"]) == (200, 1)
    assert again.json()["runs"][0]["flipped"] is True
    word = maker.patch(at("replay-run", run["id"]), {"flipped": False}, JSON).json()
    assert (word["flipped"], word["runs"][0]["judged"]) == (0, False)
    assert maker.patch(at("replay-run", run["id"]), {"flipped": None}, JSON).json()["flipped"] == 1
    assert maker.patch(at("replay-run", run["id"]), {"flipped": "no"}, JSON).status_code == 400
    assert [row["id"] for row in reader.get(address).json()["results"]] == [made.json()["id"]]
    bad = maker.post(address, {"model": "smol/other:int8", "rule": "phrase"}, JSON)
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (400, "/phrase")


def test_only_maintainers_make_change_and_replay(
    token_client: Callable[..., Client],
    reader: Client,
    bob_client: Client,
    operator: User,
    reviewer: User,
    client: Client,
    limitation: Limitation,
    report: Submission,
) -> None:
    body = {"card": "smol/lm2", "reports": [str(report.pk)], "title": "Another"}
    for method, address, sent in (
        ("post", LIST, body),
        ("patch", at("limitation-detail", limitation.pk), {"state": "confirmed"}),
        ("post", at("replay-list", limitation.pk), {"model": "smol/lm2:bf16", "rule": "exact"}),
    ):
        assert getattr(reader, method)(address, sent, JSON).status_code == 403
        assert getattr(bob_client, method)(address, sent, JSON).status_code == 404
        assert getattr(token_client(operator, Scope.ADMIN), method)(address, sent, JSON).status_code == 404
        assert getattr(client, method)(address, sent, JSON).status_code == 401
    assert client.post(at("limitation-me-too", limitation.pk)).status_code == 401
    assert Limitation.objects.get().state == "open"
    assert not ReplayRun.objects.exists()


def test_maintainers_read_the_reports_that_it_was_made_of(
    token_client: Callable[..., Client], maker: Client, maintainer: User, limitation: Limitation, report: Submission
) -> None:
    address = at("limitation-reports", limitation.pk)
    [row] = maker.get(address).json()["results"]
    run = report.generation
    assert run is not None
    assert (row["submission"], row["item"], row["is_withdrawn"]) == (str(report.pk), report.review_item.pk, False)
    assert row["answers"] == {"thumb": "down", "comment": "A ship, it says."}
    assert (row["run"]["generation"], row["run"]["output"]) == (str(run.pk), run.output)
    assert maker.get(address, {"fields": "answers"}).json()["results"] == [{"answers": row["answers"]}]
    ModelCard.objects.update(is_published=False)
    assert token_client(maintainer, Scope.REVIEW).get(address).json()["results"] == [row]
    withdraw_submission(Actor(user=report.owner), report.pk)
    [left] = maker.get(address).json()["results"]
    assert (left["is_withdrawn"], left["answers"], left["run"]) == (True, {}, None)


def test_nobody_else_reads_its_reports(
    token_client: Callable[..., Client],
    bob_client: Client,
    operator: User,
    reviewer: User,
    maintainer: User,
    alice: User,
    client: Client,
    limitation: Limitation,
) -> None:
    address = at("limitation-reports", limitation.pk)
    assert client.get(address).status_code == 401
    assert bob_client.get(address).status_code == 404
    for other, scope in ((reviewer, Scope.REVIEW), (operator, Scope.REVIEW), (operator, Scope.ADMIN)):
        assert token_client(other, scope).get(address).status_code == 404, (other, scope)
    for person, scope in ((alice, Scope.READ), (maintainer, Scope.READ), (maintainer, Scope.WEBHOOKS)):
        assert token_client(person, scope).get(address).status_code == 403, (person, scope)
    assert token_client(maintainer, Scope.REVIEW).get(at("limitation-reports", uuid.uuid4())).status_code == 404


def test_its_reports_come_in_pages_with_the_same_queries_however_full(
    maker: Client, maintainer: User, alice: User
) -> None:
    reports = [judge(alice, thumb="down") for _number in range(5)]
    for each in reports:
        each.move_review(list(ReviewState), ReviewState.ACCEPTED)
    card = reports[0].card
    assert card is not None
    made = make_limitation(maintainer, card, [str(each.pk) for each in reports], title="Often")
    address = at("limitation-reports", made.pk)
    maker.get(address)
    counts = []
    for limit in (1, 5):
        with CaptureQueriesContext(connection) as queries:
            assert len(maker.get(address, {"limit": limit}).json()["results"]) == limit
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
    found, following = [], f"{address}?limit=2"
    while following:
        page = maker.get(following).json()
        found += [row["submission"] for row in page["results"]]
        following = page["next"]
    assert sorted(found) == sorted(str(each.pk) for each in reports)
    assert maker.get(address, {"cursor": "x"}).status_code == 400


def test_what_is_on_an_unpublished_card_is_not_there(reader: Client, limitation: Limitation) -> None:
    ModelCard.objects.update(is_published=False)
    assert reader.get(LIST).json()["results"] == []
    for address in (at("limitation-detail", limitation.pk), at("card-limitations", "smol", "lm2")):
        assert reader.get(address).status_code == 404
    assert reader.post(at("limitation-me-too", limitation.pk)).status_code == 404


def test_the_list_is_narrowed_and_refuses_what_it_does_not_know(reader: Client, limitation: Limitation) -> None:
    assert reader.get(LIST, {"card": "smol/lm2", "state": "open", "fields": "title"}).json()["results"] == [
        {"title": "Takes it for a ship"}
    ]
    assert reader.get(LIST, {"severity": "low"}).json()["results"] == []
    for name, value in (("state", "lost"), ("card", "no/such"), ("cursor", "x"), ("fields", "mood")):
        response = reader.get(LIST, {name: value})
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, name)


def test_a_page_takes_the_same_queries_however_full(
    reader: Client, maintainer: User, alice: User, limitation: Limitation
) -> None:
    reader.get(LIST)
    counts: list[int] = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            rows = reader.get(LIST).json()["results"]
        counts.append(len(queries))
        for _number in range(2):
            more = judge(alice, thumb="down")
            more.move_review(list(ReviewState), ReviewState.ACCEPTED)
            assert more.card is not None
            say_me_too(Actor(user=alice), make_limitation(maintainer, more.card, [str(more.pk)], title="Another"))
    assert counts[0] == counts[1] <= 6
    assert rows[-1]["me_too"] == 1
