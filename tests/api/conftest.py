"""Clients with tokens, a variant to run, chats answered at once, and limits that start afresh in every test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.api.openai import choices
from portal.catalog.models import Variant
from portal.playground import dispatch, stream
from portal.playground.following import News
from portal.playground.models import Generation, TokenTrace
from tests.api.chat import BODY, CHAT, Ask
from tests.playground.turns import make_variant


@pytest.fixture(autouse=True)
def _fresh_limits(fresh_limits: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def token_client() -> Callable[..., Client]:
    """Makes a client that sends a new token of this person with these scopes."""

    def make(user: User, *scopes: Scope) -> Client:
        _token, secret = create_token(user, name="test", scopes=scopes, lifetime=None)
        return Client(headers={"Authorization": f"Bearer {secret}"})

    return make


@pytest.fixture
def client_of_alice(token_client: Callable[..., Client], alice: User) -> Client:
    return token_client(alice, Scope.READ, Scope.SUBMIT)


@pytest.fixture
def variant(db: None) -> Variant:
    return make_variant()


@pytest.fixture
def no_broker() -> Iterator[None]:
    with mock.patch.object(dispatch, "current_app"):
        yield


@pytest.fixture
def answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's events, without a worker."""

    async def follow(generation: Generation, **_options: Any) -> AsyncIterator[News]:
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 1}
        await sync_to_async(TokenTrace.objects.create)(generation=generation)
        yield [(None, stream.finished("stop", usage, {}))]

    monkeypatch.setattr(choices, "follow", follow)


@pytest.fixture
def ask(alice: User, variant: Variant, token_client: Callable[..., Client]) -> Ask:
    """Posts BODY with changes as alice; a value of ... leaves the member out."""
    client = token_client(alice, Scope.SUBMIT)

    def post(**changes: Any) -> Any:
        body = {name: value for name, value in (BODY | changes).items() if value is not ...}
        return client.post(CHAT, json.dumps(body), content_type="application/json")

    return post
