"""The cast of the tests: people with their roles, their signed-in browsers, and an anonymous visitor's browser."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck, settings

from portal.accounts.actors import VISITOR_SESSION_KEY
from portal.accounts.models import User
from portal.accounts.roles import Role

pytest_plugins = ["tests.services.fixtures"]

# How long an example takes says more about what else the machine does than about the example.
settings.register_profile("steelyard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steelyard")

PASSWORD = "correct horse battery staple"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _touches_the_database(item):
            item.add_marker("database")
    items[:] = _in_order(items)


def _touches_the_database(item: pytest.Item) -> bool:
    """Whether the test is worth repeating on another database."""
    fixtures = {"db", "transactional_db", "live_server"}.intersection(getattr(item, "fixturenames", ()))
    is_case = isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, TransactionTestCase)
    return bool(fixtures or is_case or item.get_closest_marker("django_db"))


def _in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """First the files that start processes or a browser, which last longest and often wait, in turn with the others.

    At the end, with a short file for each test process, all of them are busy until the last seconds.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    long = [tests for tests in files.values() if any(map(_lasts_long, tests))]
    short = [tests for tests in files.values() if not any(map(_lasts_long, tests))]
    taking_turns = (tests for pair in zip_longest(long, short, fillvalue=[]) for tests in pair)
    return list(chain.from_iterable(taking_turns))


def _lasts_long(item: pytest.Item) -> bool:
    return any(map(item.get_closest_marker, ("browser", "processes", "weights")))


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    """One test's sign-in attempts must not count against the next one's."""
    yield
    cache.clear()


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """Makes a person, with roles beyond contributor where named."""

    def make(username: str, *roles: Role) -> User:
        user = User.objects.create_user(username, f"{username}@example.org", PASSWORD)
        for role in roles:
            user.groups.add(Group.objects.get(name=role.value))
        return user

    return make


@pytest.fixture
def alice(make_user: Callable[..., User]) -> User:
    return make_user("alice")


@pytest.fixture
def bob(make_user: Callable[..., User]) -> User:
    """Alice's teammate."""
    return make_user("bob")


@pytest.fixture
def charlie(make_user: Callable[..., User]) -> User:
    """The outsider."""
    return make_user("charlie")


@pytest.fixture
def reviewer(make_user: Callable[..., User]) -> User:
    return make_user("reviewer", Role.REVIEWER)


@pytest.fixture
def maintainer(make_user: Callable[..., User]) -> User:
    return make_user("maintainer", Role.MAINTAINER)


@pytest.fixture
def operator(make_user: Callable[..., User]) -> User:
    return make_user("operator", Role.OPERATOR)


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser("root", "root@example.org", PASSWORD)


def signed_in(user: User) -> Client:
    """A browser of this person's own."""
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice_client(alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def bob_client(bob: User) -> Client:
    return signed_in(bob)


@pytest.fixture
def charlie_client(charlie: User) -> Client:
    return signed_in(charlie)


@pytest.fixture
def reviewer_client(reviewer: User) -> Client:
    return signed_in(reviewer)


@pytest.fixture
def maintainer_client(maintainer: User) -> Client:
    return signed_in(maintainer)


@pytest.fixture
def operator_client(operator: User) -> Client:
    return signed_in(operator)


@pytest.fixture
def superuser_client(superuser: User) -> Client:
    return signed_in(superuser)


@pytest.fixture
def visitor() -> uuid.UUID:
    """The key of an anonymous visitor, as in the rows' `visitor` column."""
    return uuid.uuid4()


@pytest.fixture
def visitor_client(db: None, visitor: uuid.UUID) -> Client:
    """The browser of that anonymous visitor."""
    client = Client()
    session = client.session
    session[VISITOR_SESSION_KEY] = str(visitor)
    session.save()
    return client
