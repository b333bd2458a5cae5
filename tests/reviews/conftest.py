"""Reviewers, and limits that start afresh in every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from portal.accounts import limits
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.reviews.models import QueuePolicy


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    limits._limiters.cache_clear()
    yield
    limits._limiters.cache_clear()


@pytest.fixture(autouse=True)
def _no_gold_by_chance(request: pytest.FixtureRequest) -> None:
    """Gold items come where a test says so."""
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("transactional_db" if _is_transactional(request) else "db")
        QueuePolicy.objects.filter(is_current=True).update(gold_percent=0)


def _is_transactional(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("django_db")
    return bool(marker and marker.kwargs.get("transaction")) or "live_server" in request.fixturenames


@pytest.fixture
def second_reviewer(make_user: Callable[..., User]) -> User:
    return make_user("second", Role.REVIEWER)


@pytest.fixture
def third_reviewer(make_user: Callable[..., User]) -> User:
    return make_user("third", Role.REVIEWER)
