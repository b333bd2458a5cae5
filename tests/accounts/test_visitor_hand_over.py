from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from django.test import Client

from portal.accounts.actors import VISITOR_SESSION_KEY
from portal.accounts.models import User
from portal.accounts.signals import visitor_became_user
from tests.conftest import PASSWORD

Received = list[tuple[uuid.UUID, User]]


@pytest.fixture
def received() -> Iterator[Received]:
    found: Received = []

    def remember(sender: type[User], visitor: uuid.UUID, user: User, **kwargs: object) -> None:
        found.append((visitor, user))

    visitor_became_user.connect(remember)
    yield found
    visitor_became_user.disconnect(remember)


def sign_in(client: Client, login: str, password: str = PASSWORD):
    return client.post("/accounts/login/", {"login": login, "password": password})


SIGN_UP = {
    "username": "dora",
    "email": "dora@example.org",
    "password1": PASSWORD,
    "password2": PASSWORD,
}


def test_signing_in_hands_over_what_the_visitor_owned(
    visitor_client: Client, visitor: uuid.UUID, alice: User, received: Received
) -> None:
    sign_in(visitor_client, "alice")
    assert received == [(visitor, alice)]
    assert VISITOR_SESSION_KEY not in visitor_client.session


def test_signing_up_hands_over_what_the_visitor_owned(
    visitor_client: Client, visitor: uuid.UUID, received: Received
) -> None:
    visitor_client.post("/accounts/signup/", SIGN_UP)
    assert received == [(visitor, User.objects.get(username="dora"))]


def test_a_wrong_password_hands_over_nothing(
    visitor_client: Client, visitor: uuid.UUID, alice: User, received: Received
) -> None:
    sign_in(visitor_client, "alice", "wrong")
    assert received == []
    assert visitor_client.session[VISITOR_SESSION_KEY] == str(visitor)


def test_a_stranger_hands_over_nothing(client: Client, alice: User, received: Received) -> None:
    sign_in(client, "alice")
    assert received == []


def test_a_sign_in_that_did_not_come_by_allauth_hands_over_too(
    visitor_client: Client, visitor: uuid.UUID, alice: User, received: Received
) -> None:
    visitor_client.force_login(alice)
    assert received == [(visitor, alice)]
    assert VISITOR_SESSION_KEY not in visitor_client.session


def test_after_signing_out_the_next_person_is_somebody_else(
    visitor_client: Client, alice: User, bob: User, received: Received
) -> None:
    sign_in(visitor_client, "alice")
    visitor_client.post("/accounts/logout/")
    assert VISITOR_SESSION_KEY not in visitor_client.session
    sign_in(visitor_client, "bob")
    assert [user for _, user in received] == [alice]


def test_when_handing_over_fails_nobody_is_signed_in_and_nothing_is_lost(
    visitor_client: Client, visitor: uuid.UUID, alice: User
) -> None:
    def fail(sender: type[User], **kwargs: object) -> None:
        raise RuntimeError("no")

    visitor_became_user.connect(fail)
    try:
        visitor_client.raise_request_exception = False
        assert sign_in(visitor_client, "alice").status_code == 500
    finally:
        visitor_became_user.disconnect(fail)
    assert visitor_client.session[VISITOR_SESSION_KEY] == str(visitor)
    assert "_auth_user_id" not in visitor_client.session
