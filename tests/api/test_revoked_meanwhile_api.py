"""A token that is revoked after it was shown and before what it asked for is written."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from portal.accounts.models import ApiToken, User
from portal.api.authentication import BearerTokenAuthentication
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
