"""Snapshots made over REST: asked for as on the page, followed, stopped, made again; by maintainers alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.accounts.roles import Role
from portal.api.snapshot_build_rows import SnapshotBuildSerializer
from portal.exports.models import Salting, Snapshot
from portal.exports.services import MAX_WAITING
from portal.exports.tasks import build_snapshot
from tests.conftest import signed_in
from tests.exports.conftest import folder as folder  # noqa: PLC0414  a fixture
from tests.feedback.judgements import judge

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]

SNAPSHOTS = "/api/v1/snapshots/"
BUILDS = "/api/v1/snapshots/builds/"
ASKED = {
    "title": "Autumn",
    "note": "For the paper.",
    "tables": ["kto", "feedback"],
    "filters": {"language": "en", "review_state": ["accepted", "unreviewed"], "agreement_min": "0.75"},
    "salting": "shared",
    "redacts": True,
}


@pytest.fixture
def keeper(token_client: Callable[..., Client], maintainer: User) -> Client:
    return token_client(maintainer, Scope.ADMIN)


def post(client: Client, address: str, body: Any = None, **headers: str) -> Any:
    return client.post(address, json.dumps(body or {}), content_type="application/json", headers=headers)


def asked(client: Client, **changes: Any) -> Any:
    response = post(client, SNAPSHOTS, {"title": "Autumn", "tables": ["kto"], **changes})
    assert response.status_code == 201, response.content
    return response.json()


def test_it_is_asked_for_followed_and_found_once_it_is_published(keeper: Client, maintainer: User, alice: User) -> None:
    judge(alice)
    response = post(keeper, SNAPSHOTS, {"title": "Autumn", "tables": ["kto"]})
    assert response.status_code == 201
    row = response.json()
    assert response["Location"] == f"{BUILDS}{row['id']}/"
    assert (row["state"], row["number"], row["snapshot"], row["requested_by"]) == ("queued", None, None, "maintainer")
    assert (row["filters"], row["salting"], row["redacts"]) == ({}, "own", False)
    serializer = SnapshotBuildSerializer(data=row)
    assert serializer.is_valid(), serializer.errors
    snapshot = Snapshot.objects.get()
    assert snapshot.requested_by == maintainer

    snapshot.claim("worker", timedelta(days=1))
    snapshot.renew(timedelta(days=1), stage="writing:kto", done=40, total=120)
    row = keeper.get(response["Location"]).json()
    assert (row["state"], row["stage"], row["done"], row["total"]) == ("running", "writing:kto", 40, 120)
    snapshot.release()

    build_snapshot(snapshot.pk)
    row = keeper.get(response["Location"]).json()
    assert (row["state"], row["number"], row["snapshot"]) == ("succeeded", 1, f"{SNAPSHOTS}1/")
    assert row["finished_at"] > row["started_at"] > row["created_at"]


def test_what_is_asked_for_is_what_the_page_makes_of_the_same(keeper: Client, maintainer_client: Client) -> None:
    row = post(keeper, SNAPSHOTS, ASKED).json()
    assert {name: row[name] for name in ASKED} == {**ASKED, "tables": ["feedback", "kto"]}
    form = {**ASKED, **ASKED["filters"], "redacts": "on"}  # type: ignore[dict-item]
    form.pop("filters")
    assert maintainer_client.post(reverse("exports:new-snapshot"), form).status_code == 302
    of_page, of_api = Snapshot.objects.order_by("-pk")
    for name in ("title", "note", "tables", "criteria", "salting", "redacts", "requested_by"):
        assert getattr(of_api, name) == getattr(of_page, name)
    assert of_api.salting == Salting.SHARED


def test_a_signed_in_maintainer_needs_no_token(maintainer_client: Client) -> None:
    row = asked(maintainer_client)
    assert maintainer_client.get(f"{BUILDS}{row['id']}/").json() == row


def test_one_that_waits_is_stopped_at_once_and_made_again(keeper: Client) -> None:
    row = asked(keeper)
    assert post(keeper, f"{BUILDS}{row['id']}/cancel/").json()["state"] == "cancelled"
    assert post(keeper, f"{BUILDS}{row['id']}/cancel/").json()["state"] == "cancelled"
    again = post(keeper, f"{BUILDS}{row['id']}/again/")
    assert (again.status_code, again.json()["state"]) == (200, "queued")
    # One that waits already is not asked for twice.
    assert post(keeper, f"{BUILDS}{row['id']}/again/").json()["state"] == "queued"
    build_snapshot(row["id"])
    for step in ("cancel", "again"):
        assert post(keeper, f"{BUILDS}{row['id']}/{step}/").json()["state"] == "succeeded"


def test_one_under_way_is_stopped_by_its_worker(keeper: Client) -> None:
    row = asked(keeper)
    snapshot = Snapshot.objects.get()
    snapshot.claim("worker", timedelta(days=1))
    stopped = post(keeper, f"{BUILDS}{row['id']}/cancel/").json()
    assert (stopped["state"], stopped["is_being_stopped"]) == ("running", True)
    snapshot.stop()
    stopped = keeper.get(f"{BUILDS}{row['id']}/").json()
    assert (stopped["state"], stopped["is_being_stopped"]) == ("cancelled", False)


def test_why_one_failed_is_told(keeper: Client) -> None:
    row = asked(keeper)
    snapshot = Snapshot.objects.get()
    snapshot.claim("worker", timedelta(days=1))
    snapshot.fail("The disk is full.")
    row = keeper.get(f"{BUILDS}{row['id']}/").json()
    assert (row["state"], row["error"]) == ("failed", "The disk is full.")


def test_more_than_may_be_made_at_a_time_is_a_conflict_with_a_type_of_its_own(keeper: Client) -> None:
    rows = [asked(keeper) for _ in range(MAX_WAITING)]
    post(keeper, f"{BUILDS}{rows[0]['id']}/cancel/")
    asked(keeper)
    for response in (
        post(keeper, SNAPSHOTS, {"title": "Autumn", "tables": ["kto"]}),
        post(keeper, f"{BUILDS}{rows[0]['id']}/again/"),
    ):
        assert response.status_code == 409
        assert response.json()["type"] == "/api/problems/#too-many-under-way"
    assert Snapshot.objects.count() == MAX_WAITING + 1


def test_sent_again_under_its_key_it_is_made_once(keeper: Client) -> None:
    body = {"title": "Nightly", "tables": ["kto"]}
    first, second = (post(keeper, SNAPSHOTS, body, **{"Idempotency-Key": "night-1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    other = post(keeper, SNAPSHOTS, {**body, "title": "Other"}, **{"Idempotency-Key": "night-1"})
    assert other.status_code == 422
    assert Snapshot.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"title": ""}, "/title"),
        ({"title": "x" * 121}, "/title"),
        ({"title": 7}, "/title"),
        ({"tables": []}, "/tables"),
        ({"tables": ["kto", "nothing"]}, "/tables/1"),
        ({"note": "x" * 2_001}, "/note"),
        ({"salting": "none"}, "/salting"),
        ({"redacts": "yes"}, "/redacts"),
        ({"filters": []}, "/filters"),
        ({"filters": {"colour": "red"}}, "/filters/colour"),
        ({"filters": {"rating_min": "2"}}, "/filters/rating_min"),
        ({"filters": {"rating_min": True}}, "/filters/rating_min"),
        ({"filters": {"rating_min": 9}}, "/filters/rating_min"),
        ({"filters": {"rating_min": 4, "rating_max": 2}}, "/filters/rating_min"),
        ({"filters": {"review_state": "accepted"}}, "/filters/review_state"),
        ({"filters": {"review_state": []}}, "/filters/review_state"),
        ({"filters": {"review_state": [1]}}, "/filters/review_state"),
        ({"filters": {"since": "2026-02-01", "until": "2026-01-01"}}, "/filters/since"),
        ({"filters": {"card": None}}, "/filters/card"),
        ({"tables": ["submissions_wide"]}, "/filters/questionnaire"),
        ({"number": 7}, "/number"),
    ],
)
def test_what_is_wrong_is_pointed_at(keeper: Client, changes: dict[str, Any], pointer: str) -> None:
    response = post(keeper, SNAPSHOTS, {"title": "Autumn", "tables": ["kto"], **changes})
    assert response.status_code == 400
    assert pointer in {error["pointer"] for error in response.json()["errors"]}
    assert not Snapshot.objects.exists()


def test_for_everybody_else_there_is_no_such_thing(
    keeper: Client, token_client: Callable[..., Client], alice: User, maintainer: User, make_user: Callable[..., User]
) -> None:
    row = asked(keeper)
    one = f"{BUILDS}{row['id']}/"
    posts, gets = (SNAPSHOTS, f"{one}cancel/", f"{one}again/"), (BUILDS, one)
    body = {"title": "Mine", "tables": ["kto"]}
    rex = make_user("rex", Role.REVIEWER, Role.OPERATOR)
    expected = [
        (token_client(alice, Scope.READ, Scope.SUBMIT, Scope.EXPORT), 403),
        (token_client(rex, *Scope), 404),
        (signed_in(alice), 404),
        (token_client(maintainer, *(scope for scope in Scope if scope is not Scope.ADMIN)), 403),
        (Client(), 401),
    ]
    for client, status in expected:
        assert [post(client, address, body).status_code for address in posts] == [status] * 3
        assert [client.get(address).status_code for address in gets] == [status] * 2
    assert Snapshot.objects.get().state == "queued"
    # What is published everybody may read, and not how it was made.
    build_snapshot(row["id"])
    reader = signed_in(alice)
    assert reader.get(f"{SNAPSHOTS}1/").status_code == 200
    assert reader.get(one).status_code == 404


def test_the_list_is_newest_first_in_pages_whatever_became_of_them(keeper: Client) -> None:
    rows = []
    for _ in range(5):
        rows.append(asked(keeper)["id"])
        post(keeper, f"{BUILDS}{rows[-1]}/cancel/")
    first = keeper.get(BUILDS, {"limit": 3, "fields": "id,state"}).json()
    assert first["results"] == [{"id": each, "state": "cancelled"} for each in rows[:1:-1]]
    assert [each["id"] for each in keeper.get(first["next"]).json()["results"]] == rows[1::-1]


def test_the_list_takes_as_many_queries_for_one_as_for_many(keeper: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert keeper.get(BUILDS).status_code == 200
        return len(captured)

    asked(keeper)
    queries()
    of_one = queries()
    for _ in range(MAX_WAITING - 1):
        asked(keeper)
    build_snapshot(Snapshot.objects.latest("pk").pk)
    assert queries() == of_one
