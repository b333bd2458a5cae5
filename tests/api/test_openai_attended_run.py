"""A run that nobody waits for any more is stopped, whichever of the two happens first."""

from __future__ import annotations

import gc
import weakref

import pytest
from django.http import StreamingHttpResponse

from portal.accounts.models import User
from portal.api.openai import attended_run
from portal.api.openai.attended_run import AttendedRun
from portal.playground.models import Generation, State
from tests.feedback.judgements import make_generation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def generation(alice: User) -> Generation:
    return make_generation(alice, state=State.QUEUED)


def state_of(generation: Generation) -> str:
    # One thread stops runs, in order.
    attended_run._stopper.submit(lambda: None).result(10)
    generation.refresh_from_db()
    return generation.state


def test_who_leaves_after_the_start_stops_it(generation: Generation) -> None:
    run = AttendedRun()
    run.begin(generation)
    assert state_of(generation) == State.QUEUED
    run.leave()
    run.leave()
    assert state_of(generation) == State.CANCELLED


def test_who_left_during_the_start_stops_it_too(generation: Generation) -> None:
    run = AttendedRun()
    run.leave()
    run.begin(generation)
    assert state_of(generation) == State.CANCELLED


def test_a_run_that_has_ended_is_left_alone(generation: Generation) -> None:
    run = AttendedRun()
    run.begin(generation)
    run.ended(generation)
    run.leave()
    assert state_of(generation) == State.QUEUED


def test_of_several_runs_those_under_way_are_stopped(generation: Generation, alice: User) -> None:
    run, other = AttendedRun(), make_generation(alice, state=State.QUEUED)
    run.begin(generation)
    run.begin(other)
    run.ended(generation)
    run.leave()
    assert (state_of(generation), state_of(other)) == (State.QUEUED, State.CANCELLED)


def test_who_leaves_without_a_run_leaves_nothing_behind() -> None:
    AttendedRun().leave()


def test_an_answer_that_was_never_asked_for_its_first_chunk_stops_it(generation: Generation) -> None:
    run = AttendedRun()
    run.begin(generation)
    response = StreamingHttpResponse([])
    weakref.finalize(response, run.leave)
    del response
    gc.collect()
    assert state_of(generation) == State.CANCELLED
