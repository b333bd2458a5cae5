"""Judgements that are refused over REST: bad bodies, other people's things, whoever may not write."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.exports.queries import row_of
from portal.feedback.models import Submission
from portal.playground.models import State
from tests.feedback.judgements import judge, make_generation

pytestmark = pytest.mark.django_db
URL = reverse("api:feedback-list")
JSON = "application/json"


def detail(submission: Submission) -> str:
    return reverse("api:feedback-detail", args=[submission.pk])


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


def test_the_limit_on_judging_is_the_same_as_on_the_page(client_of_alice: Client, alice: User, settings: Any) -> None:
    settings.FEEDBACK_RATE = "1/minute"
    body = {"generation": str(make_generation(alice).pk), "answers": {"thumb": "up"}}
    assert client_of_alice.post(URL, body, JSON).status_code == 201
    response = client_of_alice.post(URL, body, JSON)
    assert response.status_code == 429
    assert response.json()["limit"] == "feedback"
    assert response["Retry-After"]
