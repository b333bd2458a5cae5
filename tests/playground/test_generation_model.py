"""The states of one generation: whatever several workers with old copies do, the rules hold."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db.models import Q
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.catalog.models import Variant
from portal.playground.models import ACTIVE_STATES, FINAL_STATES, Generation, State
from tests.playground.turns import add_turn, make_conversation

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=60)
ALLOWED = {
    State.QUEUED: {State.QUEUED, State.RUNNING, State.CANCELLED},
    State.RUNNING: {State.RUNNING, State.QUEUED, *FINAL_STATES},
    **{state: {state} for state in FINAL_STATES},
}


def queued(variant: Variant) -> Generation:
    return add_turn(make_conversation(uuid.uuid4()), variant, state=State.QUEUED)


def copy_of(generation: Generation) -> Generation:
    return Generation.objects.get(pk=generation.pk)


def let_lease_expire(generation: Generation) -> None:
    Generation.objects.filter(pk=generation.pk, state=State.RUNNING).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )


OPERATIONS = st.sampled_from(
    ["read", "claim", "succeed", "stop", "fail", "release", "cancel", "lapse", "expire_to_queued", "expire_to_failed"]
)


def perform(operation: str, mine: Generation) -> bool:
    """One worker's or visitor's attempt, with the copy of the row that they have; whether it took place."""
    match operation:
        case "claim":
            return mine.claim("worker", LEASE)
        case "succeed":
            return mine.succeed(finish_reason="stop", output="An answer.")
        case "stop":
            return mine.succeed(finish_reason="cancelled", output="Part of an")
        case "fail":
            return mine.fail("internal", "It broke.")
        case "expire_to_failed":
            return mine.expire_to_failed("worker_lost", "Lost.")
        case "cancel":
            return mine.request_cancel()
        case _:
            return bool(getattr(mine, operation)())


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(steps=st.lists(st.tuples(st.integers(0, 2), OPERATIONS), max_size=25))
def test_no_sequence_of_workers_breaks_the_rules(variant: Variant, steps: list[tuple[int, str]]) -> None:
    original = queued(variant)
    copies = [copy_of(original) for _ in range(3)]
    for who, operation in steps:
        if operation == "read":
            copies[who] = copy_of(original)
            continue
        if operation == "lapse":
            let_lease_expire(original)
            continue
        before = copy_of(original)
        done = perform(operation, copies[who])
        after = copy_of(original)
        assert after.state in ALLOWED[State(before.state)]
        assert after.attempt == before.attempt + (operation == "claim" and done)
        assert (after.finished_at is not None) == (after.state in FINAL_STATES)
        assert (after.lease_expires_at is not None) == (after.state == State.RUNNING)
        if not done:
            assert (after.state, after.output, after.attempt) == (before.state, before.output, before.attempt)
        elif operation not in {"claim", "cancel"}:
            assert copies[who].attempt == before.attempt, "a write without the current claim's number went through"
        assert not (done and before.state in FINAL_STATES)


def test_one_of_two_claims_wins(variant: Variant) -> None:
    first = queued(variant)
    second = copy_of(first)
    assert first.claim("a", LEASE)
    assert not second.claim("b", LEASE)
    assert copy_of(first).claimed_by == "a"


def test_a_claim_of_an_outdated_copy_fails_even_when_the_run_is_queued_again(variant: Variant) -> None:
    first = queued(variant)
    outdated = copy_of(first)
    assert first.claim("a", LEASE)
    assert first.release()
    assert not outdated.claim("b", LEASE)
    assert copy_of(first).claim("b", LEASE)


def test_a_lease_that_still_runs_does_not_expire(variant: Variant) -> None:
    generation = queued(variant)
    generation.claim("a", LEASE)
    assert not generation.expire_to_queued()
    assert not generation.expire_to_failed("worker_lost", "Lost.")


def test_a_run_that_was_to_be_cancelled_is_not_queued_again(variant: Variant) -> None:
    for give_back in ("release", "expire_to_queued"):
        generation = queued(variant)
        generation.claim("a", LEASE)
        generation.request_cancel()
        let_lease_expire(generation)
        assert getattr(generation, give_back)()
        assert copy_of(generation).state == State.CANCELLED


def test_a_wish_to_stop_survives_whatever_the_worker_does_in_between(variant: Variant) -> None:
    """The two halves of a cancellation, with a claim or a release between them."""
    claimed_between = queued(variant)
    assert claimed_between._move(Q(state__in=ACTIVE_STATES), cancel_requested_at=timezone.now())
    assert copy_of(claimed_between).claim("a", LEASE)
    assert not claimed_between._end(Q(state=State.QUEUED), State.CANCELLED)
    running = copy_of(claimed_between)
    assert running.cancel_requested_at is not None
    assert running.release()
    assert copy_of(running).state == State.CANCELLED
