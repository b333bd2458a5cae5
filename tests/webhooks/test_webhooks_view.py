"""The webhooks' pages: made once, the secret shown once, each action its owner's alone."""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import User
from portal.webhooks.delivering import deliver
from portal.webhooks.models import Delivery, Endpoint
from portal.webhooks.services import make_endpoint, ping
from tests.conftest import signed_in
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.django_db

OVERVIEW = "/webhooks/"


def form(**values: object) -> dict[str, object]:
    return {
        "name": "warehouse",
        "url": "https://example.org/hooks",
        "kinds": ["submission", "verdict"],
        "endpoint_id": str(uuid.uuid4()),
    } | values


def shown_secret(html: str) -> str:
    [secret] = re.findall(r"whsec_[A-Za-z0-9+/=]+", html)
    return str(secret)


def test_the_secret_is_in_one_answer_alone(maintainer_client: Client) -> None:
    values = form()
    answer = maintainer_client.post(OVERVIEW, values)
    assert shown_secret(answer.content.decode())
    assert "no-store" in answer.headers["Cache-Control"]
    endpoint = Endpoint.objects.get()
    assert "whsec_" not in maintainer_client.get(endpoint.get_absolute_url()).content.decode()
    repeated = maintainer_client.post(OVERVIEW, values, follow=True)
    assert Endpoint.objects.count() == 1
    assert "made before" in repeated.content.decode()
    assert "whsec_" not in repeated.content.decode()
    rolled = maintainer_client.post(reverse("webhooks:new-secret", args=[endpoint.pk]))
    assert shown_secret(rolled.content.decode()) != shown_secret(answer.content.decode())


@pytest.mark.parametrize(("name", "value"), [("url", "http://10.0.0.1/"), ("kinds", []), ("name", "")])
def test_a_refused_form_names_the_field_and_makes_nothing(maintainer_client: Client, name: str, value: object) -> None:
    answer = maintainer_client.post(OVERVIEW, form(**{name: value}))
    assert answer.status_code == 422
    assert f'href="#id_{name}' in answer.content.decode()
    assert not Endpoint.objects.exists()


def test_everything_of_another_persons_is_404(
    maintainer: User, maintainer_client: Client, alice_client: Client, operator_client: Client, client: Client
) -> None:
    other = make_endpoint(maintainer, name="a", url="https://example.org/", kinds=["vote"])[0]
    delivery = ping(other)
    addresses = [
        reverse("webhooks:ping", args=[other.pk]),
        reverse("webhooks:set-enabled", args=[other.pk]),
        reverse("webhooks:new-secret", args=[other.pk]),
        reverse("webhooks:send-again", args=[other.pk, delivery.message_id]),
        reverse("webhooks:delete", args=[other.pk]),
    ]
    second = User.objects.create_user("second", "second@example.org", "x")
    second.groups.set(maintainer.groups.all())
    for browser in (alice_client, client, signed_in(second)):
        assert browser.get(other.get_absolute_url()).status_code == 404
        for address in addresses:
            assert browser.post(address).status_code == 404
    for browser in (alice_client, client):
        assert browser.get(OVERVIEW).status_code == 404
        assert browser.post(OVERVIEW, form()).status_code == 404
    other.refresh_from_db()
    assert other.is_enabled
    assert Endpoint.objects.count() == 1
    assert operator_client.get(other.get_absolute_url()).status_code == 200
    assert maintainer_client.get(reverse("webhooks:delete", args=[other.pk])).status_code == 200
    maintainer_client.post(reverse("webhooks:delete", args=[other.pk]))
    assert not Endpoint.objects.exists()


def test_the_log_shows_what_a_receiver_said_as_text(
    maintainer: User, maintainer_client: Client, receiver: Receiver
) -> None:
    endpoint = make_endpoint(maintainer, name="a", url=receiver.url, kinds=["vote"])[0]
    receiver.answer = lambda _received: (500, {}, b"<script>alert(1)</script>")
    address = reverse("webhooks:ping", args=[endpoint.pk])
    maintainer_client.post(address)
    deliver(Delivery.objects.get())
    page = maintainer_client.get(endpoint.get_absolute_url()).content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert re.search(r"500, \d+ ms", page)
    maintainer_client.post(reverse("webhooks:send-again", args=[endpoint.pk, Delivery.objects.get().message_id]))
    assert Delivery.objects.get().tries == 0
    maintainer_client.post(reverse("webhooks:set-enabled", args=[endpoint.pk]), {"enabled": "0"})
    assert "Switched off" in maintainer_client.get(endpoint.get_absolute_url()).content.decode()


def test_pages_take_the_same_queries_however_full(maintainer: User, maintainer_client: Client) -> None:
    def count(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert maintainer_client.get(address).status_code == 200
        return len(queries)

    def fill(number: int) -> Endpoint:
        for _ in range(number):
            endpoint = make_endpoint(maintainer, name="a", url="https://example.org/", kinds=["vote"])[0]
            for _ in range(number):
                ping(endpoint).attempts_made.create(number=1, status=500)
        return endpoint

    few = fill(1)
    before = count(OVERVIEW), count(few.get_absolute_url())
    many = fill(3)
    assert (count(OVERVIEW), count(many.get_absolute_url())) == before
