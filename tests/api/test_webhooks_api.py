"""Webhooks over the API: the token's scope, the secret once, the log in pages, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import Scope, User
from portal.webhooks.models import Delivery, DeliveryState, Endpoint
from portal.webhooks.services import make_endpoint, ping

pytestmark = pytest.mark.django_db

BODY = {"name": "warehouse", "url": "https://example.org/hooks", "kinds": ["verdict", "submission"]}
JSON = "application/json"


@pytest.fixture
def program(maintainer: User, token_client: Callable[..., Client]) -> Client:
    return token_client(maintainer, Scope.WEBHOOKS)


def test_the_secret_is_told_once_also_to_who_asks_twice(program: Client) -> None:
    address, key = reverse("api:webhook-list"), {"Idempotency-Key": "one"}
    made = program.post(address, BODY, JSON, headers=key)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert made.headers["Cache-Control"] == "no-store"
    again = program.post(address, BODY, JSON, headers=key)
    assert (again.status_code, again.json()["secret"], again.json()["id"]) == (201, None, made.json()["id"])
    one = program.get(made.headers["Location"]).json()
    assert one == {**{name: value for name, value in made.json().items() if name != "secret"}}
    assert (one["kinds"], one["enabled"], one["owner"]) == (["submission", "verdict"], True, "maintainer")
    roll = reverse("api:webhook-secret", args=[one["id"]])
    rolled = program.post(roll, {}, JSON).json()["secret"]
    assert rolled not in {None, made.json()["secret"]}
    assert program.get(address).json() == {"results": [one], "next": None}
    keyed = [program.post(roll, {}, JSON, headers={"Idempotency-Key": "r"}) for _ in range(2)]
    assert (keyed[0].json()["secret"] != rolled, keyed[1].json()["secret"]) == (True, None)


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": 5}, "/url"),
        ({"kinds": ["card"]}, "/kinds/0"),
        ({"kinds": []}, "/kinds"),
        ({"name": ""}, "/name"),
        ({"secret": "mine"}, "/secret"),
    ],
)
def test_a_refusal_points_at_the_member(program: Client, values: dict[str, object], pointer: str) -> None:
    refused = program.post(reverse("api:webhook-list"), BODY | values, JSON)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, pointer)
    assert not Endpoint.objects.exists()


def test_change_ping_read_the_log_and_send_again(program: Client, maintainer: User) -> None:
    endpoint, _secret = make_endpoint(maintainer, **BODY)  # type: ignore[arg-type]
    detail = reverse("api:webhook-detail", args=[endpoint.pk])
    sent = program.post(reverse("api:webhook-ping", args=[endpoint.pk]), {}, JSON)
    assert (sent.status_code, sent.json()["type"]) == (202, "ping")
    for _ in range(3):
        ping(endpoint)
    Delivery.objects.filter(message_id=sent.json()["id"]).update(state=DeliveryState.GIVEN_UP, tries=11)
    log = reverse("api:webhook-deliveries", args=[endpoint.pk])
    seen: list[str] = []
    page = program.get(log, {"limit": 3}).json()
    seen += [each["id"] for each in page["results"]]
    page = program.get(page["next"]).json()
    seen += [each["id"] for each in page["results"]]
    assert (len(set(seen)), seen[-1], page["next"]) == (4, sent.json()["id"], None)
    assert [each["id"] for each in program.get(log, {"state": "given-up"}).json()["results"]] == [sent.json()["id"]]
    again = program.post(reverse("api:webhook-redelivery", args=[endpoint.pk, sent.json()["id"]]), {}, JSON)
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    tag = program.get(detail)["ETag"]
    Endpoint.objects.update(delivered_at=timezone.now())
    assert program.get(detail, headers={"If-None-Match": tag}).status_code == 200
    off = program.patch(detail, {"enabled": False, "name": "other"}, JSON, headers={"If-Match": tag}).json()
    assert (off["enabled"], off["disabled_because"], off["name"]) == (False, "by-hand", "other")
    refused = program.post(reverse("api:webhook-ping", args=[endpoint.pk]), {}, JSON)
    assert (refused.status_code, refused.json()["type"].partition("#")[2]) == (409, "webhook-disabled")
    assert program.patch(detail, {"name": "third"}, JSON, headers={"If-Match": tag}).status_code == 412
    assert program.delete(detail, headers={"If-Match": tag}).status_code == 412
    for query in ({"cursor": "x"}, {"state": "x"}, {"limit": "0"}):
        assert program.get(log, query).status_code == 400
    assert program.delete(detail).status_code == 204
    assert program.get(detail).status_code == 404


def test_the_log_takes_the_same_queries_however_long(program: Client, maintainer: User) -> None:
    endpoint, _secret = make_endpoint(maintainer, **BODY)  # type: ignore[arg-type]

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            program.get(reverse("api:webhook-deliveries", args=[endpoint.pk]))
        return len(queries)

    ping(endpoint).attempts_made.create(number=1, status=500)
    count()  # the token's first use is written down
    few = count()
    for _ in range(3):
        ping(endpoint).attempts_made.create(number=1, status=500)
    assert count() == few


def test_who_may_not_finds_nothing_and_makes_nothing(
    maintainer: User,
    alice: User,
    token_client: Callable[..., Client],
    alice_client: Client,
    operator_client: Client,
    client: Client,
) -> None:
    endpoint, _secret = make_endpoint(maintainer, **BODY)  # type: ignore[arg-type]
    delivery = ping(endpoint)
    address = reverse("api:webhook-list")
    assert token_client(maintainer, Scope.READ).get(address).status_code == 403
    assert client.get(address).status_code == 401
    assert alice_client.get(address).json() == {"results": [], "next": None}
    assert len(operator_client.get(address).json()["results"]) == 1
    assert alice_client.post(address, BODY, JSON).status_code == 403
    for path in (
        reverse("api:webhook-secret", args=[endpoint.pk]),
        reverse("api:webhook-ping", args=[endpoint.pk]),
        reverse("api:webhook-redelivery", args=[endpoint.pk, delivery.message_id]),
    ):
        assert (alice_client.post(path).status_code, client.post(path).status_code) == (404, 401)
    detail = reverse("api:webhook-detail", args=[endpoint.pk])
    assert alice_client.get(detail).status_code == 404
    assert alice_client.patch(detail, {"enabled": False}, JSON).status_code == 404
    assert alice_client.delete(detail).status_code == 404
    assert alice_client.get(reverse("api:webhook-deliveries", args=[endpoint.pk])).status_code == 404
    assert Endpoint.objects.filter(disabled="").count() == 1
