"""Clients with tokens, a variant to run, and limits that start afresh in every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from portal.accounts import limits
from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.catalog.models import Variant
from tests.playground.turns import make_variant


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    limits._limiters.cache_clear()
    yield
    limits._limiters.cache_clear()


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
