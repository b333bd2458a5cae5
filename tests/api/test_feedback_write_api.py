"""Giving, changing and withdrawing judgements over REST."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import Scope, User
from portal.api.models import IdempotencyKey
from portal.api.tasks import forget_idempotency_keys
from portal.exports.queries import row_of
from portal.feedback.models import Submission
from tests.feedback.judgements import judge, make_generation

pytestmark = pytest.mark.django_db
URL = reverse("api:feedback-list")
JSON = "application/json"


def detail(submission: Submission) -> str:
    return reverse("api:feedback-detail", args=[submission.pk])


def test_a_judgement_is_created_with_its_address(client_of_alice: Client, alice: User) -> None:
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "down", "reasons_down": ["refused"]}}
    response = client_of_alice.post(URL, body, JSON)
    submission = Submission.objects.get()
    assert response.status_code == 201
    assert response["Location"] == detail(submission)
    assert response.json() == row_of(submission)
    assert submission.values() == body["answers"]
    assert client_of_alice.get(response["Location"]).json() == response.json()


def test_a_judgement_sent_again_under_its_key_is_given_once(
    client_of_alice: Client, alice: User, bob: User, token_client: Callable[..., Client]
) -> None:
    key = {"Idempotency-Key": "a-lost-answer"}
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up", "helpfulness": 4}}
    first = client_of_alice.post(URL, body, JSON, headers=key)
    again = client_of_alice.post(URL, {name: body[name] for name in reversed(body)}, JSON, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert Submission.objects.get().version == 1

    other = client_of_alice.post(URL, body | {"answers": {"thumb": "down"}}, JSON, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "/api/problems/#idempotency-key-reused")
    assert Submission.objects.get().version == 1
    # Other people's keys are their own.
    bobs = {"generation": str(make_generation(bob).pk), "answers": {"thumb": "up"}}
    assert token_client(bob, Scope.SUBMIT).post(URL, bobs, JSON, headers=key).status_code == 201

    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(days=1, seconds=1))
    later = client_of_alice.post(URL, body | {"answers": {"thumb": "down"}}, JSON, headers=key)
    assert (later.status_code, later.json()["version"]) == (200, 2)
    forget_idempotency_keys()
    assert [kept.owner for kept in IdempotencyKey.objects.all()] == [alice]


def test_a_refused_judgement_leaves_its_key_unused(client_of_alice: Client, alice: User) -> None:
    key = {"Idempotency-Key": "corrected"}
    body = {"generation": str(make_generation(alice).pk), "answers": {}}
    assert client_of_alice.post(URL, body, JSON, headers=key).status_code == 400
    assert client_of_alice.post(URL, body | {"answers": {"thumb": "up"}}, JSON, headers=key).status_code == 201
    for bad in ("", "a b", "x" * 256, "\u00e9"):
        response = client_of_alice.post(URL, body, JSON, headers={"Idempotency-Key": bad})
        assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, "Idempotency-Key")


def test_a_withdrawn_judgement_does_not_come_back_by_its_key(client_of_alice: Client, alice: User) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up", "comment": "Secret."}}
    made = client_of_alice.post(URL, body, JSON, headers=key)
    client_of_alice.delete(made["Location"])
    assert client_of_alice.post(URL, body, JSON, headers=key).status_code == 410
    assert "Secret" not in str(list(IdempotencyKey.objects.values()))


@pytest.mark.django_db(transaction=True)
def test_one_key_sent_many_times_at_once_is_carried_out_once(alice: User, token_client: Callable[..., Client]) -> None:
    clients = [token_client(alice, Scope.SUBMIT) for _ in range(4)]
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up"}}

    def send(client: Client) -> Any:
        try:
            return client.post(URL, body, JSON, headers={"Idempotency-Key": "all-at-once"})
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as senders:
        answers = list(senders.map(send, clients))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert sum("Idempotency-Replayed" in answer for answer in answers) == 3
    assert Submission.objects.get().version == 1


def test_a_change_with_a_tag_is_made_only_to_the_state_that_was_read(client_of_alice: Client, alice: User) -> None:
    submission = judge(alice)
    read = client_of_alice.get(detail(submission))
    change = {"answers": {"helpfulness": 4}}
    changed = client_of_alice.patch(detail(submission), change, JSON, headers={"If-Match": read["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] == client_of_alice.get(detail(submission))["ETag"] != read["ETag"]
    for stale in (read["ETag"], f"W/{changed['ETag']}", "nonsense"):
        refused = client_of_alice.patch(detail(submission), change, JSON, headers={"If-Match": stale})
        assert (refused.status_code, refused.json()["type"]) == (412, "/api/problems/#precondition-failed")
        assert refused.json()["version"] == 2
    several = f'"other", {changed["ETag"]}'
    assert client_of_alice.patch(detail(submission), change, JSON, headers={"If-Match": several}).status_code == 200
    assert client_of_alice.patch(detail(submission), change, JSON, headers={"If-Match": "*"}).status_code == 200
    conflict = client_of_alice.patch(detail(submission), change | {"version": 1}, JSON, headers={"If-Match": "*"})
    assert conflict.status_code == 409
    # One that was read with the run in its id's place serves too, and so it does for a withdrawal.
    shown = client_of_alice.get(detail(submission), {"expand": "generation"})["ETag"]
    assert shown != changed["ETag"]
    assert client_of_alice.patch(detail(submission), change, JSON, headers={"If-Match": shown}).status_code == 200
    assert client_of_alice.delete(detail(submission), headers={"If-Match": read["ETag"]}).status_code == 412
    assert client_of_alice.delete(detail(submission), headers={"If-Match": shown}).status_code == 204


def test_a_second_judgement_replaces_the_first(client_of_alice: Client, alice: User) -> None:
    submission = judge(alice, comment="First.")
    body = {"generation": str(submission.generation_id), "answers": {"thumb": "down"}, "version": 1}
    response = client_of_alice.post(URL, body, JSON)
    assert response.status_code == 200
    assert response.json()["answers"] == {"thumb": "down"}
    assert client_of_alice.post(URL, body, JSON).status_code == 409


def test_a_change_keeps_what_it_does_not_name(client_of_alice: Client, alice: User) -> None:
    submission = judge(alice, helpfulness=2, comment="Hm.")
    body = {"answers": {"helpfulness": 3, "comment": None}, "version": 1}
    response = client_of_alice.patch(detail(submission), body, JSON)
    assert response.status_code == 200
    assert response.json()["answers"] == {"thumb": "up", "helpfulness": 3}
    again = client_of_alice.patch(detail(submission), body, JSON)
    assert again.status_code == 409
    assert again.json()["type"] == "/api/problems/#version-conflict"
    assert again.json()["version"] == 2


def test_terms_are_given_by_name_and_one_left_out_stays(
    client_of_alice: Client, alice: User, settings: Any, bob_client: Client
) -> None:
    settings.CONTRIBUTION_LICENCES = ["CC-BY-4.0", "CC0-1.0"]
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up"}}
    given = client_of_alice.post(URL, body | {"consent": "review", "licence": "CC0-1.0"}, JSON)
    assert (given.status_code, given.json()["consent"], given.json()["licence"]) == (201, "review", "CC0-1.0")
    address = given["Location"]
    assert (client_of_alice.get(address).status_code, bob_client.get(address).status_code) == (200, 404)
    for change, consent, licence in (
        ({"answers": {}, "consent": "publish"}, "publish", "CC0-1.0"),
        ({"answers": {"comment": "Fine."}}, "publish", "CC0-1.0"),
        ({"answers": {}, "licence": "CC-BY-4.0"}, "publish", "CC-BY-4.0"),
    ):
        row = client_of_alice.patch(address, change, JSON).json()
        assert (row["consent"], row["licence"]) == (consent, licence)
    assert bob_client.get(address).json()["answers"] == {"thumb": "up", "comment": "Fine."}
    refused = client_of_alice.patch(address, {"answers": {"comment": "No."}, "consent": "all"}, JSON)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/consent")
    assert Submission.objects.get().values()["comment"] == "Fine."
    assert client_of_alice.post(URL, body | {"consent": "quote"}, JSON).json()["licence"] == "CC-BY-4.0"


def test_a_bad_change_points_at_the_answer_and_changes_nothing(client_of_alice: Client, alice: User) -> None:
    submission = judge(alice, helpfulness=2)
    response = client_of_alice.patch(detail(submission), {"answers": {"thumb": None}}, JSON)
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/answers/thumb"
    assert submission.values() == {"thumb": "up", "helpfulness": 2}


def test_a_withdrawn_judgement_is_gone_until_it_is_given_again(client_of_alice: Client, alice: User) -> None:
    submission = judge(alice)
    assert client_of_alice.delete(detail(submission)).status_code == 204
    for response in (
        client_of_alice.get(detail(submission)),
        client_of_alice.patch(detail(submission), {"answers": {"thumb": "up"}}, JSON),
        client_of_alice.delete(detail(submission)),
    ):
        assert response.status_code == 410
        assert response.json()["type"] == "/api/problems/#withdrawn"
    body = {"generation": str(submission.generation_id), "answers": {"thumb": "down"}}
    assert client_of_alice.post(URL, body, JSON).status_code == 200
    assert client_of_alice.get(detail(submission)).json()["answers"] == {"thumb": "down"}
