from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from portal.accounts.models import ApiToken, User
from portal.accounts.services import create_token, revoke_token


class WhoAmI(APIView):
    """Uses the project's default authentication and permission."""

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username(), "token": str(getattr(request.auth, "pk", ""))})


def ask(authorization: str | None = None) -> HttpResponse:
    headers = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    response = WhoAmI.as_view()(APIRequestFactory().get("/", **headers))
    return response.render() if isinstance(response, Response) else response


@pytest.fixture
def token_and_secret(alice: User) -> tuple[ApiToken, str]:
    return create_token(alice, name="script", scopes=["read"], lifetime=timedelta(days=7))


def test_a_token_authenticates_its_owner(token_and_secret: tuple[ApiToken, str]) -> None:
    token, secret = token_and_secret
    assert json.loads(ask(f"Bearer {secret}").content) == {"user": "alice", "token": str(token.pk)}
    assert ask(f"bearer {secret}").status_code == 200


def assert_refused(response: HttpResponse, detail: str = "") -> None:
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert detail in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer sy_" + "0" * 64,
        "Bearer two words",
        "Bearer " + "x" * 100_000,
        "Bearer \xff\xfe",
        "Bearer sy_\x00",
    ],
)
def test_what_is_no_token_is_refused(authorization: str | None) -> None:
    assert_refused(ask(authorization))


def test_only_bearer_is_understood(token_and_secret: tuple[ApiToken, str]) -> None:
    for scheme in ["Token", "Basic", "Bearer:", ""]:
        assert_refused(ask(f"{scheme} {token_and_secret[1]}"))


def test_a_digest_is_no_token(token_and_secret: tuple[ApiToken, str]) -> None:
    assert_refused(ask(f"Bearer {token_and_secret[0].digest}"), "unknown")


def test_a_revoked_token_is_refused(token_and_secret: tuple[ApiToken, str]) -> None:
    token, secret = token_and_secret
    revoke_token(token)
    assert_refused(ask(f"Bearer {secret}"), "revoked")


def test_an_expired_token_is_refused_and_kept(token_and_secret: tuple[ApiToken, str]) -> None:
    token, secret = token_and_secret
    ApiToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert_refused(ask(f"Bearer {secret}"), "expired")
    token.refresh_from_db()
    assert token.is_expired
    assert token.last_used_at is None


def test_a_token_of_an_inactive_account_is_refused(alice: User, token_and_secret: tuple[ApiToken, str]) -> None:
    User.objects.update(is_active=False)
    assert_refused(ask(f"Bearer {token_and_secret[1]}"), "not active")


def test_a_request_costs_one_query_and_one_write_per_minute(
    alice: User, token_and_secret: tuple[ApiToken, str], django_assert_num_queries
) -> None:
    for number in range(20):
        create_token(alice, name=str(number), scopes=["read"], lifetime=timedelta(days=1))
    with django_assert_num_queries(2):
        ask(f"Bearer {token_and_secret[1]}")
    with django_assert_num_queries(1):
        ask(f"Bearer {token_and_secret[1]}")


@pytest.mark.django_db(transaction=True)
def test_who_asks_is_told_though_the_use_of_the_token_cannot_be_noted(
    token_and_secret: tuple[ApiToken, str], caplog: pytest.LogCaptureFixture
) -> None:
    token, secret = token_and_secret

    def locked(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(locked):
        assert json.loads(ask(f"Bearer {secret}").content)["user"] == "alice"
    assert f"token {token.pk} was used is not noted: database is locked" in caplog.text
    ask(f"Bearer {secret}")
    token.refresh_from_db()
    assert token.last_used_at is not None
