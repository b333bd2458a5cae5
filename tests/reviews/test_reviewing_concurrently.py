"""Many at the same moment, in threads with connections of their own: one item each, no verdict lost, no deadlock."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.accounts.roles import Role
from portal.feedback.services import AlreadyReviewed, submit_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.reviews.models import ContributorRecord, DailyCount, Event, Review, ReviewItem
from portal.reviews.services.claims import claim_next
from portal.reviews.services.verdicts import ClaimLost, Judgement, UndoRefused, record_verdict, undo_verdict
from portal.reviews.settling import ItemState, settle
from tests.feedback.judgements import judge
from tests.feedback.test_submitting_concurrently import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reviewers(make_user: Callable[..., User]) -> list[User]:
    return [make_user(f"reviewer{number}", Role.REVIEWER) for number in range(6)]


def test_reviewers_at_the_same_moment_get_different_items(alice: User, reviewers: list[User]) -> None:
    for _ in reviewers:
        judge(alice)
    results = at_once(*(lambda each=each: claim_next(each) for each in reviewers))
    assert all(isinstance(result, ReviewItem) for result in results), results
    assert len({result.pk for result in results}) == len(reviewers)  # type: ignore[attr-defined]


def test_of_many_for_one_item_exactly_one_gets_it(alice: User, reviewers: list[User]) -> None:
    judge(alice)
    results = at_once(*(lambda each=each: claim_next(each) for each in reviewers))
    assert sum(result is not None for result in results) == 1, results


def test_one_verdict_sent_by_many_requests_is_one(alice: User, reviewers: list[User]) -> None:
    judge(alice)
    item = claim_next(reviewers[0])
    assert item is not None
    one = lambda: record_verdict(reviewers[0], item.pk, item.claim_number, Judgement("accept"))  # noqa: E731
    results = at_once(*[one] * 5)
    assert len({result.pk for result in results}) == 1, results  # type: ignore[attr-defined]
    assert Review.objects.count() == 1


def review_some(person: User, seed: int) -> int:
    """Eight items at most, some of which are undone again; how many verdicts were recorded."""
    draw, given = random.Random(seed), 0
    for _ in range(8):
        item = claim_next(person)
        if item is None:
            break
        verdict = draw.choice(["accept", "accept", "reject", "spam"])
        with contextlib.suppress(ClaimLost):
            review = record_verdict(person, item.pk, item.claim_number, Judgement(verdict, reason="unclear"))
            given += 1
            if draw.random() < 0.2:
                # Refused where somebody has decided since.
                with contextlib.suppress(UndoRefused):
                    undo_verdict(person, review.pk)
    return given


def test_a_busy_hour_leaves_every_item_as_its_verdicts_say(alice: User, reviewers: list[User], settings: Any) -> None:
    settings.FEEDBACK_RATE = "100000/minute"
    submissions = [judge(alice) for _ in range(8)]

    def contributes() -> int:
        actor = Actor(user=alice)
        for number, submission in enumerate(submissions):
            submission.refresh_from_db()
            if number % 3 == 0:
                withdraw_feedback(actor, submission.generation)
            elif number % 3 == 1 and submission.may_be_changed:
                # It may have been decided since the look.
                with contextlib.suppress(AlreadyReviewed):
                    submit_feedback(actor, submission.generation, {"thumb": "down"})
        return 0

    results = at_once(*(lambda each=each, i=i: review_some(each, i) for i, each in enumerate(reviewers)), contributes)
    assert all(isinstance(result, int) for result in results), results
    assert Review.objects.count() == sum(results) == Event.objects.filter(action="verdict").count()  # type: ignore[arg-type]
    for item in ReviewItem.objects.select_related("submission"):
        expected = settle(item.live_verdicts(), item.needed, is_withdrawn=item.submission.is_withdrawn)
        assert (item.state, item.outcome) == (expected.state, expected.outcome)
        assert Review.objects.filter(item=item, superseded_at=None).values("reviewer").distinct().count() == len(
            item.live_verdicts()
        )
    decided = sum(DailyCount.objects.exclude(flow="entered").values_list("count", flat=True))
    record = ContributorRecord.objects.get()
    assert decided == record.accepted + record.rejected + record.duplicates + record.spam
    assert decided >= ReviewItem.objects.filter(state=ItemState.DECIDED).count()
