"""Reading judgements over REST: pages, streams, filters, who may, and every refusal as a problem document."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import AsyncRequestFactory, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import Scope, User
from portal.api.feedback_views import FeedbackList
from portal.api.serializers import FeedbackRowSerializer
from portal.exports.queries import row_of
from portal.exports.rows import FeedbackRow
from portal.feedback.models import ReviewState, Submission
from portal.feedback.withdrawing import withdraw_feedback
from tests.feedback.judgements import judge, make_generation, make_variant

pytestmark = pytest.mark.django_db
URL = reverse("api:feedback-list")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def test_anybody_signed_in_reads_everybodys_judgements_without_names(
    alice: User, visitor: uuid.UUID, bob_client: Client
) -> None:
    given = [judge(alice, helpfulness=4, comment="Größe"), judge(visitor)]
    response = bob_client.get(URL)
    assert response.json() == {"results": [row_of(submission) for submission in given], "next": None}
    text = response.content.decode()
    for secret in (alice.username, alice.email, str(visitor)):
        assert secret not in text


def test_the_documented_row_is_the_row(alice: User) -> None:
    row = row_of(judge(alice))
    assert row is not None
    assert list(FeedbackRowSerializer().fields) == list(FeedbackRow.__annotations__) == list(row)


def test_anonymous_visitors_are_asked_for_a_token(client: Client, visitor_client: Client) -> None:
    for each in (client, visitor_client):
        response = each.get(URL)
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("scopes", "status"),
    [([Scope.READ], 200), ([Scope.EXPORT], 200), ([Scope.SUBMIT], 403), ([Scope.REVIEW, Scope.ADMIN], 403)],
)
def test_a_token_reads_with_the_scope_read_or_export(
    token_client: Callable[..., Client], superuser: User, scopes: list[Scope], status: int
) -> None:
    judge(superuser)
    response = token_client(superuser, *scopes).get(URL)
    assert response.status_code == status
    if status == 403:
        assert response.json()["type"] == "/api/problems/#insufficient-scope"
        assert 'scope="read export"' in response["WWW-Authenticate"]


def test_a_wrong_token_is_refused(client: Client) -> None:
    for header in ("Bearer", "Bearer x y", "Bearer sy_unknown", "Bearer sy_\xff"):
        response = client.get(URL, headers={"Authorization": header})
        assert response.status_code == 401
        assert response.json()["type"] == "/api/problems/#not-authenticated"


def test_following_next_reads_every_row_once_while_others_arrive(alice: User, alice_client: Client) -> None:
    given = [judge(alice, created_at=NOON + timedelta(seconds=number)) for number in range(5)]
    url, read = f"{URL}?limit=2&thumb=up", []
    while url:
        response = alice_client.get(url)
        read += ids(response)
        url = response.json()["next"]
        if len(read) == 2:
            given.append(judge(alice, created_at=NOON + timedelta(hours=1)))
            assert urlsplit(url).netloc == "testserver"
            assert "thumb=up" in url
    assert read == [str(submission.pk) for submission in given]


def test_filters_are_those_of_the_export(alice: User, alice_client: Client) -> None:
    up = judge(alice, helpfulness=5, created_at=NOON)
    down = judge(alice, make_generation(alice, variant=make_variant("acme/one", "q4")), thumb="down", helpfulness=1)
    assert ids(alice_client.get(URL, {"card": "acme/one"})) == [str(down.pk)]
    assert ids(alice_client.get(URL, {"variant": "smol/lm2:bf16"})) == [str(up.pk)]
    assert ids(alice_client.get(URL, {"rating": 5})) == [str(up.pk)]
    assert ids(alice_client.get(URL, {"rating_max": 2})) == [str(down.pk)]
    assert ids(alice_client.get(URL, {"thumb": "down"})) == [str(down.pk)]
    assert ids(alice_client.get(URL, {"since": "2026-05-01", "until": "2026-05-02"})) == [str(up.pk)]


@pytest.mark.parametrize(
    ("query", "parameter", "part"),
    [
        ("stars=3", "stars", "no such parameter"),
        ("limit=0", "limit", "1 to 1000"),
        ("limit=1001", "limit", "1 to 1000"),
        ("limit=-1", "limit", "1 to 1000"),
        ("limit=9" + "9" * 5000, "limit", "1 to 1000"),
        ("limit=", "limit", "1 to 1000"),
        ("limit=1&limit=2", "limit", "once"),
        ("cursor=x", "cursor", "gave out"),
        ("cursor=", "cursor", "gave out"),
        ("cursor=" + "%ff" * 32, "cursor", "gave out"),
        ("rating=7", "rating", "1 to 5"),
        ("rating=4&rating_min=1", "rating", "either"),
        ("card=%00", "card", "owner/name"),
        ("card=a/b", "card", "no card"),
        ("since=2026-05-01T12:00:00+02:00", "since", "%2B"),
        ("format=xml", "format", "json, jsonl, csv"),
        ("format=csv&limit=5", "limit", "streams everything"),
        ("format=jsonl&cursor=x", "cursor", "streams everything"),
        ("format=csv&rating=7", "rating", "1 to 5"),
    ],
)
def test_a_bad_parameter_is_a_400_that_names_it(alice_client: Client, query: str, parameter: str, part: str) -> None:
    response = alice_client.get(f"{URL}?{query}")
    problem = response.json()
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert problem["type"] == "/api/problems/#invalid-request"
    assert problem["instance"] == URL
    assert problem["request_id"] == response["X-Request-ID"]
    [error] = problem["errors"]
    assert error["parameter"] == parameter
    assert part in error["detail"]


@pytest.mark.parametrize("how", ["format", "accept"])
def test_json_lines_and_csv_stream_everything_that_matches(alice: User, alice_client: Client, how: str) -> None:
    given = [judge(alice, comment="=SUM(A1)"), judge(alice, thumb="down"), judge(alice)]

    def get(name: str, media_type: str) -> str:
        if how == "format":
            response = alice_client.get(URL, {"thumb": "up", "format": name})
        else:
            response = alice_client.get(URL, {"thumb": "up"}, headers={"Accept": media_type})
        assert response.status_code == 200
        assert response.streaming
        assert response["Content-Type"] == f"{media_type}; charset=utf-8"
        assert f'.{name}"' in response["Content-Disposition"]
        return response.getvalue().decode()

    rows = [json.loads(line) for line in get("jsonl", "application/jsonl").splitlines()]
    assert rows == [row_of(given[0]), row_of(given[2])]
    lines = list(csv.DictReader(io.StringIO(get("csv", "text/csv"), newline="")))
    assert [line["comment"] for line in lines] == ["'=SUM(A1)", ""]


def test_an_empty_csv_has_its_header(alice_client: Client) -> None:
    text = alice_client.get(URL, {"format": "csv"}).getvalue().decode()
    assert text.startswith("id,created_at,")
    assert text.count("\r\n") == 1


@pytest.mark.django_db(transaction=True)
def test_under_asgi_a_stream_comes_in_pieces(alice: User) -> None:
    judge(alice)
    request = AsyncRequestFactory().get(URL, {"format": "jsonl"})
    request.user = alice
    request.session = {}
    response = FeedbackList.as_view()(request)
    assert response.is_async

    async def collect() -> bytes:
        pieces = [piece async for piece in response]
        # The rows were read in a thread whose connection would outlive the test.
        await sync_to_async(connections.close_all)()
        return b"".join(pieces)

    assert json.loads(asyncio.run(collect()))["answers"] == {"thumb": "up"}


def test_an_unoffered_format_is_406(alice_client: Client) -> None:
    response = alice_client.get(URL, headers={"Accept": "application/xml"})
    assert response.status_code == 406
    assert response.json()["type"] == "/api/problems/#not-acceptable"
    assert "text/csv" in response.json()["detail"]


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_another_method_is_405_with_those_allowed(alice_client: Client, method: str) -> None:
    response = getattr(alice_client, method)(URL)
    assert response.status_code == 405
    assert response.json()["type"] == "/api/problems/#method-not-allowed"
    assert response["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_a_token_gets_405_too_and_never_a_scope_that_is_none(
    token_client: Callable[..., Client], alice: User, method: str
) -> None:
    client = token_client(alice, Scope.READ, Scope.SUBMIT)
    item = reverse("api:feedback-detail", args=[judge(alice).pk])
    for url, allowed in ((URL, {"GET", "HEAD", "POST"}), (item, {"GET", "HEAD", "PATCH", "DELETE"})):
        if method in allowed:
            continue
        response = client.generic(method, url)
        assert response.status_code == 405
        assert response.json()["type"] == "/api/problems/#method-not-allowed"
        assert set(response["Allow"].split(", ")) == allowed
        assert "WWW-Authenticate" not in response


def test_a_single_judgement_is_the_row_of_the_list_for_whoever_reads_the_list(
    token_client: Callable[..., Client], alice: User, bob: User, bob_client: Client, visitor: uuid.UUID
) -> None:
    for owner in (alice, visitor):
        submission = judge(owner, helpfulness=4)
        url = reverse("api:feedback-detail", args=[submission.pk])
        for client in (bob_client, token_client(bob, Scope.READ), token_client(bob, Scope.EXPORT)):
            response = client.get(url)
            assert response.status_code == 200
            assert response.json() == row_of(submission)
        assert token_client(bob, Scope.SUBMIT).get(url).status_code == 404


def test_what_did_not_change_is_not_sent_again(alice: User, alice_client: Client) -> None:
    address = reverse("api:feedback-detail", args=[judge(alice).pk])
    tag = alice_client.get(address)["ETag"]
    assert tag.startswith('"1-')
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = alice_client.get(address, headers={"If-None-Match": known})
        assert (response.status_code, response.content, response["ETag"]) == (304, b"", tag)
    assert alice_client.get(address, headers={"If-None-Match": '"1-other"'}).status_code == 200
    # A review is no new version, and shows all the same.
    Submission.objects.update(review_state=ReviewState.IN_REVIEW)
    assert alice_client.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_only_the_fields_that_were_asked_for(alice: User, alice_client: Client) -> None:
    submission = judge(alice)
    address = reverse("api:feedback-detail", args=[submission.pk])
    part = {"id": str(submission.pk), "version": 1}
    assert alice_client.get(address, {"fields": "version,id"}).json() == part
    assert alice_client.get(URL, {"fields": "id,version", "limit": 5}).json()["results"] == [part]
    for where, wrong in ((address, "id,prompts"), (URL, "id,"), (URL, "owner")):
        refused = alice_client.get(where, {"fields": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (400, "fields")
    assert alice_client.get(URL, {"fields": "id", "format": "csv"}).status_code == 400


def test_a_withdrawn_judgement_is_gone_for_its_owner_and_was_never_there_for_others(
    alice: User, alice_client: Client, bob_client: Client
) -> None:
    submission = judge(alice)
    withdraw_feedback(Actor(user=alice), submission.generation)
    url = reverse("api:feedback-detail", args=[submission.pk])
    assert alice_client.get(url).status_code == 410
    assert bob_client.get(url).status_code == 404


def test_withdrawn_judgements_are_not_given_out(alice: User, alice_client: Client) -> None:
    submission = judge(alice)
    withdraw_feedback(Actor(user=alice), submission.generation)
    assert ids(alice_client.get(URL)) == []


def test_answers_say_how_much_of_the_rate_is_left_and_429_when_to_return(
    alice_client: Client, bob_client: Client, settings: Any
) -> None:
    settings.API_RATE = "2/minute"
    response = alice_client.get(URL)
    assert response["RateLimit-Policy"] == '"api";q=2;w=60'
    assert response["RateLimit"].startswith('"api";r=1;t=')
    assert alice_client.get(URL)["RateLimit"].startswith('"api";r=0;t=')
    refused = alice_client.get(URL)
    assert refused.status_code == 429
    assert refused.json()["type"] == "/api/problems/#rate-limited"
    assert 0 < int(refused["Retry-After"]) <= 60
    assert refused["RateLimit"].startswith('"api";r=0')
    assert bob_client.get(URL).status_code == 200


def test_a_page_takes_the_same_queries_however_full(alice: User, alice_client: Client) -> None:
    judge(alice)
    with CaptureQueriesContext(connection) as one:
        ids(alice_client.get(URL))
    for _ in range(15):
        judge(alice, helpfulness=3, comment="Yes.", reasons_up=["clear", "correct"])
    with CaptureQueriesContext(connection) as many:
        assert len(ids(alice_client.get(URL))) == 16
    assert len(many) == len(one)


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("path", ["nothing/", "feedback/not-a-uuid/", "feedback", "feedback/two%0Alines/", "a%0A"])
def test_an_unknown_address_is_a_problem_document(client: Client, method: str, path: str) -> None:
    response = getattr(client, method)(f"/api/v1/{path}")
    assert response.status_code == 404
    assert response.json()["type"] == "/api/problems/#not-found"
    assert ("ends with a slash" in response.json()["detail"]) == (not path.endswith("/"))
    assert "/api/docs/" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/api/", "/api/v1/"])
def test_the_roots_point_to_the_documentation(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json()["detail"] == "There is nothing at this address. What there is: /api/docs/."


def test_a_judgement_brings_the_readers_own_run_along(
    token_client: Callable[..., Client], alice: User, bob: User
) -> None:
    own, foreign = judge(alice), judge(bob)
    client = token_client(alice, Scope.READ)
    client.get(URL)
    with CaptureQueriesContext(connection) as queries:
        rows = client.get(URL, {"expand": "generation"}).json()["results"]
    judge(alice)
    with CaptureQueriesContext(connection) as more:
        assert len(client.get(URL, {"expand": "generation"}).json()["results"]) == 3
    assert len(queries) == len(more)
    assert rows[0]["generation"]["id"] == str(own.generation_id)
    # Other people's runs are not to be read, expanded or not.
    assert rows[1]["generation"] == str(foreign.generation_id)
    alone = client.get(reverse("api:feedback-detail", args=[own.pk]), {"expand": "generation", "fields": "generation"})
    assert alone.json()["generation"]["parameters"] == own.generation.params  # type: ignore[union-attr]
    refused = client.get(URL, {"expand": "variant"})
    assert (refused.status_code, "generation" in refused.json()["errors"][0]["detail"]) == (400, True)
