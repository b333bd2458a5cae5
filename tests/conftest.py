"""The cast of the tests: people with their roles, their signed-in browsers, and an anonymous visitor's browser."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

from portal.accounts import limits
from portal.accounts.actors import VISITOR_SESSION_KEY
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.playground import dispatch

pytest_plugins = ["tests.services.fixtures"]

# How long an example takes says more about what else the machine does than about the example.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run, so that a change is judged by what it did. `make explore` looks at ever new ones.
settings.register_profile("same", settings.get_profile("any"), derandomize=True)
settings.load_profile("same")

# Test processes, and what they start, share the cores: threads of one that wait for one another take them from others.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WORKER_THREADS", "1")

PASSWORD = "correct horse battery staple"

# They share the one installation that tests/services/fixtures.py calls `portal`.
PORTAL_FILES = frozenset(
    {
        "tests/api/test_openai_recipes.py",
        "tests/browser/test_arena_journeys.py",
        "tests/browser/test_playground_journeys.py",
        "tests/browser/test_playground_pages_browser.py",
        "tests/browser/test_playground_tree_journey.py",
        "tests/operations/test_running_up_processes.py",
        "tests/processes/test_upstream_of_our_own.py",
    }
)


class _FileByFile(LoadFileScheduling):
    """Each file's tests in one process, so that what they share is made once; the portal's files are as one."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope_of(nodeid)


def _scope_of(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return "portal" if file in PORTAL_FILES else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _FileByFile | None:
    return _FileByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _touches_the_database(item):
            item.add_marker("database")
        if _is_about_pages(item):
            item.add_marker("page")
    items[:] = _in_order(items)


def pytest_collection_finish() -> None:
    """What importing made stays until the end, so that no collection of garbage needs to look at it again."""
    gc.collect()
    gc.freeze()


def _touches_the_database(item: pytest.Item) -> bool:
    """Whether the test is worth repeating on another database."""
    fixtures = {"db", "transactional_db", "live_server"}.intersection(getattr(item, "fixturenames", ()))
    is_case = isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, TransactionTestCase)
    return bool(fixtures or is_case or item.get_closest_marker("django_db"))


def _is_about_pages(item: pytest.Item) -> bool:
    """Whether it is what a page or the admin says that is tested, within a transaction of the test's own."""
    marker = item.get_closest_marker("django_db")
    is_committing = marker is not None and marker.kwargs.get("transaction", False)
    return item.path.stem.endswith(("_view", "_views", "_admin")) and not is_committing


def _in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """First the files that start processes or a browser, which last longest and often wait, in turn with the others.

    At the end, with a short file for each test process, all of them are busy until the last seconds.
    """
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(_scope_of(item.nodeid), []).append(item)
    portal = files.pop("portal", [])
    long = [portal, *(tests for tests in files.values() if any(map(_lasts_long, tests)))]
    short = [tests for tests in files.values() if not any(map(_lasts_long, tests))]
    taking_turns = (tests for pair in zip_longest(long, short, fillvalue=[]) for tests in pair)
    return list(chain.from_iterable(taking_turns))


def _lasts_long(item: pytest.Item) -> bool:
    return any(map(item.get_closest_marker, ("browser", "processes", "weights")))


@pytest.fixture(scope="session", autouse=True)
def _no_broker_is_waited_for() -> None:
    """Tests have none, and what one of them queued must not be sent on and on beside the others."""
    dispatch.GIVE_UP_S = 0.0  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    """One test's sign-in attempts must not count against the next one's."""
    yield
    cache.clear()


@pytest.fixture
def fresh_limits() -> Iterator[None]:
    """Uses are counted from zero: people's keys come again with each test's rolled-back database."""
    limits._limiters.cache_clear()
    yield
    limits._limiters.cache_clear()


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
