"""Many at once on one answer: one judgement, no lost update, no torn set of answers."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.campaign_services import send_answers
from portal.feedback.models import Campaign, Submission
from portal.feedback.seed import seed_questionnaires
from portal.feedback.services import VersionConflict, submit_feedback
from portal.feedback.terms import Terms
from portal.feedback.withdrawing import withdraw_feedback
from tests.feedback.judgements import judge, make_generation

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 8


def at_once(*tasks: Callable[[], object]) -> list[object]:
    """Run tasks in threads that start together; an exception is its task's result."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], object]) -> object:
        try:
            barrier.wait()
            return task()
        except Exception as error:  # noqa: BLE001 - the result is looked at by the test
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def test_first_judgements_at_once_make_one_with_one_set_of_answers(alice: User) -> None:
    generation = make_generation(alice)
    results = at_once(
        *(
            lambda number=number: submit_feedback(
                Actor(user=alice), generation, {"thumb": "up", "helpfulness": 1 + number % 5, "comment": f"{number}"}
            )
            for number in range(WRITERS)
        )
    )
    assert all(isinstance(result, Submission) for result in results), results
    submission = Submission.objects.get()
    assert sum(result.newly_created for result in results) == 1  # type: ignore[attr-defined]
    assert submission.version == WRITERS
    values = submission.values()
    assert values["helpfulness"] == 1 + int(values["comment"]) % 5


def test_of_changes_to_one_version_exactly_one_wins(alice: User) -> None:
    submission = judge(alice)
    results = at_once(
        *(
            lambda number=number: submit_feedback(
                Actor(user=alice), submission.generation, {"thumb": "up", "comment": f"{number}"}, expected_version=1
            )
            for number in range(WRITERS)
        )
    )
    winners = [result for result in results if isinstance(result, Submission)]
    assert len(winners) == 1, results
    assert sum(isinstance(result, VersionConflict) for result in results) == WRITERS - 1
    assert Submission.objects.get().values() == winners[0].values()


def test_withdrawing_while_changing_ends_live_with_answers_or_withdrawn_without(alice: User) -> None:
    submission = judge(alice)
    actor = Actor(user=alice)
    results = at_once(
        lambda: withdraw_feedback(actor, submission.generation),
        lambda: submit_feedback(actor, submission.generation, {"thumb": "down"}),
    )
    assert all(isinstance(result, Submission) for result in results), results
    after = Submission.objects.get()
    assert after.values() == ({} if after.is_withdrawn else {"thumb": "down"})
    assert after.version == 3


@pytest.mark.parametrize("is_anonymous", [False, True])
def test_a_campaign_that_takes_one_of_each_person_has_one_however_many_are_sent_at_once(
    alice: User, bob: User, is_anonymous: bool
) -> None:
    seed_questionnaires()
    campaign = Campaign.objects.get(slug="next-open-model")
    people = [Actor(visitor=uuid.uuid4()), Actor(visitor=uuid.uuid4())] if is_anonymous else [Actor(alice), Actor(bob)]
    results = at_once(
        *(
            lambda actor=actor, number=number: send_answers(
                actor, campaign, {"uses": ["coding"], "wish": f"Wish {number}", "would_switch": number}, Terms()
            )
            for number in range(WRITERS // 2)
            for actor in people
        )
    )
    assert all(isinstance(result, Submission) for result in results), results
    assert Submission.objects.count() == len(people)
    for actor in people:
        submission = Submission.objects.get(actor.owns())
        assert submission.version == WRITERS // 2, "each sending was kept in its turn"
        values = submission.values()
        assert values["wish"] == f"Wish {values['would_switch']}", "the answers are of one sending"


def test_of_first_sendings_that_expect_none_before_exactly_one_is_taken(alice: User) -> None:
    seed_questionnaires()
    campaign = Campaign.objects.get(slug="next-open-model")
    one = lambda: send_answers(Actor(alice), campaign, {"uses": ["coding"]}, Terms(), expected_version=0)  # noqa: E731
    results = at_once(*[one] * WRITERS)
    assert sum(isinstance(result, Submission) for result in results) == 1, results
    assert sum(isinstance(result, VersionConflict) for result in results) == WRITERS - 1
    assert Submission.objects.get().version == 1
