"""A token that is revoked after it was shown and before what it asked for is written."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client
from rest_framework.exceptions import AuthenticationFailed

from portal.accounts.models import ApiToken, User
from portal.accounts.services import create_token
from portal.api.authentication import BearerTokenAuthentication, refused_since
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation
from tests.api.chat import Ask
from tests.api.runs import JSON, URL, prompt

# The key of a row that is gone is refused when the transaction ends.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_broker"), pytest.mark.contract]


@pytest.fixture
def revoked_once_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner revokes the token at the very moment in which it was let in."""
    let_in = BearerTokenAuthentication.authenticate_credentials

    def authenticate(self: BearerTokenAuthentication, token: bytes) -> tuple[User, ApiToken]:
        user, found = let_in(self, token)
        ApiToken.objects.filter(pk=found.pk).delete()
        return user, found

    monkeypatch.setattr(BearerTokenAuthentication, "authenticate_credentials", authenticate)


def assert_refused(response: Any) -> None:
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert "revoked" in response.content.decode()
    assert not Generation.objects.exists()
    assert not Conversation.objects.exists()


def test_another_rule_of_the_database_is_no_matter_of_tokens(alice: User) -> None:
    token, _secret = create_token(alice, name="own", scopes=["read"], lifetime=None)
    broken = IntegrityError("another key")
    assert refused_since(broken, token) is broken
    assert refused_since(broken, None) is broken
    ApiToken.objects.all().delete()
    assert isinstance(refused_since(broken, token), AuthenticationFailed)
    assert isinstance(refused_since(ValueError("text"), token), ValueError)


@pytest.mark.parametrize(("accepted", "query", "status"), [("text/html", "", 406), ("*/*", "?format=xx", 400)])
def test_what_is_refused_before_a_token_is_looked_at_stays_that_refusal(
    client: Client, accepted: str, query: str, status: int
) -> None:
    headers = {"Accept": accepted, "Authorization": "Bearer sy_" + "0" * 64}
    assert client.get(URL + query, headers=headers).status_code == status


@pytest.mark.usefixtures("revoked_once_shown")
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_a_run_over_rest_is_refused_and_nothing_is_written(
    client_of_alice: Client, variant: Variant, headers: dict[str, str]
) -> None:
    assert_refused(client_of_alice.post(URL, prompt(variant), JSON, headers=headers))


@pytest.mark.usefixtures("revoked_once_shown")
@pytest.mark.parametrize("choices", [1, 2])
@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_refused_and_nothing_is_written(ask: Ask, choices: int, stream: bool) -> None:
    response = ask(n=choices, stream=stream)
    assert_refused(response)
    assert response.json()["error"]["code"] == "invalid_api_key"
