"""Giving, changing and withdrawing judgements over REST; bad bodies; other people's things."""

from __future__ import annotations

import uuid
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
from portal.playground.models import State
from tests.feedback.judgements import judge, make_generation

pytestmark = pytest.mark.django_db
URL = reverse("api:feedback-list")
JSON = "application/json"


@pytest.fixture
def client_of_alice(token_client: Callable[..., Client], alice: User) -> Client:
    return token_client(alice, Scope.READ, Scope.SUBMIT)


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


@pytest.mark.parametrize(
    ("change", "pointer", "part"),
    [
        ({"generation": None}, "/generation", "null"),
        ({"generation": 5}, "/generation", "UUID"),
        ({"generation": "x"}, "/generation", "UUID"),
        ({"answers": None}, "/answers", "null"),
        ({"answers": []}, "/answers", "object"),
        ({"answers": {}}, "/answers/thumb", "needs an answer"),
        ({"answers": {"thumb": "up", "helpfulness": 9}}, "/answers/helpfulness", "1 to 5"),
        ({"answers": {"thumb": "up", "a/b~c": 1}}, "/answers/a~1b~0c", "no such question"),
        ({"answers": {"thumb": "up", "reasons_down": ["refused"]}}, "/answers/reasons_down", "only when"),
        ({"answers": {"thumb": "up", "comment": "a\x00"}}, "/answers/comment", "NUL"),
        ({"version": "1"}, "/version", "integer"),
        ({"version": True}, "/version", "integer"),
        ({"version": -1}, "/version", "0"),
        ({"rating": 3}, "/rating", "no such member"),
        ({"consent": "yes"}, "/consent", "review, publish, quote"),
        ({"consent": None}, "/consent", "null"),
        ({"consent": True}, "/consent", "string"),
        ({"licence": "WTFPL"}, "/licence", "CC-BY-4.0"),
    ],
)
def test_a_bad_member_is_a_400_that_points_at_it(
    client_of_alice: Client, alice: User, change: dict[str, Any], pointer: str, part: str
) -> None:
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up"}} | change
    response = client_of_alice.post(URL, body, JSON)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    [error] = response.json()["errors"]
    assert error["pointer"] == pointer
    assert part in error["detail"]
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b'{"generation":\n  oops}', {"line": 2, "column": 3, "offset": 17}),
        (b'{"a": "\xff"}', {"offset": 7}),
        (b'{"a": NaN}', None),
        (b'{"a": "\\ud800"}', None),
        (b"[" * 100_000, None),
        (b"9" * 10_000, None),
    ],
)
def test_broken_json_is_a_400_with_the_position(
    client_of_alice: Client, body: bytes, position: dict[str, int] | None
) -> None:
    response = client_of_alice.post(URL, body, JSON)
    assert response.status_code == 400
    assert response.json()["type"] == "/api/problems/#malformed-json"
    if position is not None:
        assert response.json()["position"] == position


def test_an_empty_body_lacks_its_members(client_of_alice: Client) -> None:
    errors = client_of_alice.post(URL, b"", JSON).json()["errors"]
    assert {error["pointer"] for error in errors} == {"/generation", "/answers"}


@pytest.mark.parametrize("body", ["[]", '"text"', "null", "5"])
def test_json_that_is_no_object_is_a_400(client_of_alice: Client, body: str) -> None:
    response = client_of_alice.post(URL, body, JSON)
    assert response.status_code == 400
    assert response.json()["errors"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_another_type_of_body_is_415(client_of_alice: Client, content_type: str) -> None:
    response = client_of_alice.post(URL, b"thumb=up", content_type)
    assert response.status_code == 415
    assert response.json()["type"] == "/api/problems/#unsupported-media-type"


def test_an_oversize_body_is_413(client_of_alice: Client, settings: Any) -> None:
    body = b'{"answers": "' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}'
    response = client_of_alice.post(URL, body, JSON)
    assert response.status_code == 413
    assert response.json()["type"] == "/api/problems/#body-too-large"


def test_an_unfinished_run_is_a_conflict(client_of_alice: Client, alice: User) -> None:
    generation = make_generation(alice, state=State.RUNNING)
    response = client_of_alice.post(URL, {"generation": str(generation.pk), "answers": {"thumb": "up"}}, JSON)
    assert response.status_code == 409
    assert response.json()["type"] == "/api/problems/#not-judgeable"


def test_other_peoples_judgements_are_not_changed_nor_their_runs_judged(
    token_client: Callable[..., Client], alice: User, bob: User, visitor: uuid.UUID
) -> None:
    client = token_client(bob, Scope.READ, Scope.SUBMIT)
    for owner in (alice, visitor):
        submission = judge(owner)
        body = {"generation": str(submission.generation_id), "answers": {"thumb": "down"}}
        for response in (
            client.post(URL, body, JSON),
            client.patch(detail(submission), {"answers": {"thumb": "down"}}, JSON),
            client.delete(detail(submission)),
        ):
            assert response.status_code == 404
            assert response.json()["type"] == "/api/problems/#not-found"
        assert row_of(submission)["answers"] == {"thumb": "up"}  # type: ignore[index]


def test_anonymous_visitors_cannot_write(visitor_client: Client, visitor: uuid.UUID) -> None:
    submission = judge(visitor)
    body = {"generation": str(submission.generation_id), "answers": {"thumb": "down"}}
    assert visitor_client.post(URL, body, JSON).status_code == 401
    assert visitor_client.get(detail(submission)).status_code == 401
    assert visitor_client.delete(detail(submission)).status_code == 401


def test_writing_needs_the_scope_submit(token_client: Callable[..., Client], alice: User) -> None:
    submission = judge(alice)
    client = token_client(alice, Scope.READ, Scope.EXPORT)
    body = {"generation": str(submission.generation_id), "answers": {"thumb": "down"}}
    for response in (
        client.post(URL, body, JSON),
        client.patch(detail(submission), {"answers": {}}, JSON),
        client.delete(detail(submission)),
    ):
        assert response.status_code == 403
        assert response.json()["type"] == "/api/problems/#insufficient-scope"


def test_a_session_writes_with_its_csrf_token_and_not_without(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up"}}
    refused = client.post(URL, body, JSON)
    assert refused.status_code == 403
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["type"] == "/api/problems/#form-not-verified"
    assert "X-CSRFToken" in refused.json()["detail"]
    assert not Submission.objects.exists()
    client.get(reverse("feedback:panel", args=[body["generation"]]))
    csrf = client.cookies["csrftoken"].value
    assert client.post(URL, body, JSON, headers={"X-CSRFToken": csrf}).status_code == 201


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


def test_the_limit_on_judging_is_the_same_as_on_the_page(client_of_alice: Client, alice: User, settings: Any) -> None:
    settings.FEEDBACK_RATE = "1/minute"
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up"}}
    assert client_of_alice.post(URL, body, JSON).status_code == 201
    response = client_of_alice.post(URL, body, JSON)
    assert response.status_code == 429
    assert response.json()["limit"] == "feedback"
    assert response["Retry-After"]
