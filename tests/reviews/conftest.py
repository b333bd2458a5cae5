"""Reviewers, gold and an item that waits, a limitation and its reports, and limits that start afresh in every test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.feedback.models import Submission
from portal.reviews.models import Limitation, QueuePolicy, ReviewItem
from portal.reviews.services.limitations import make_limitation
from portal.reviews.services.verdicts import mark_gold
from tests.feedback.judgements import judge, make_variant
from tests.reviews.desk import give_verdict, item_of
from tests.reviews.reports import report


@pytest.fixture(autouse=True)
def _fresh_limits(fresh_limits: None) -> None:
    """In every test of this folder."""


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


@pytest.fixture
def gold_is_given(_no_gold_by_chance: None) -> None:
    QueuePolicy.objects.update(gold_percent=1)


@pytest.fixture
def gold(alice: User, second_reviewer: User, third_reviewer: User, maintainer: User) -> ReviewItem:
    """Rejected by two, for a reason, and known to be right."""
    item = item_of(judge(alice, thumb="down", comment="The second arm is missing from this answer."))
    for each in (second_reviewer, third_reviewer):
        give_verdict(each, item, "reject", note="No arm is missing.")
    mark_gold(maintainer, item.pk)
    item.refresh_from_db()
    return item


@pytest.fixture
def twin(bob: User) -> ReviewItem:
    """One that nobody has judged yet, and like it in all else."""
    return item_of(judge(bob, thumb="down", comment="An answer about something else altogether, and too short."))


@pytest.fixture
def reports(alice: User, bob: User) -> list[Submission]:
    return [
        report(alice, "It claims that Sydney is the capital of Australia"),
        report(bob, "Says Sydney is Australia's capital", "Capital of Australia, in one word?"),
        report(bob, "Refuses to write a poem about kitchen knives"),
    ]


@pytest.fixture
def limitation(reports: list[Submission], maintainer: User) -> Limitation:
    card = make_variant().card
    type(card).objects.filter(pk=card.pk).update(is_published=True)
    card.refresh_from_db()
    return make_limitation(
        maintainer, card, [str(each.pk) for each in reports[:2]], title="Takes Sydney for the capital"
    )
