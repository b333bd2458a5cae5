"""The sweep mends what a lost worker or a lost message left."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from portal.catalog.models import Variant
from portal.playground import sweep
from portal.playground.models import Generation, MaintenanceLease, State, WorkerHeartbeat
from tests.playground.turns import add_turn, make_conversation

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def published() -> Iterator[mock.Mock]:
    """Stands for the broker, which takes everything."""
    with mock.patch.object(sweep, "publish", return_value=True) as publish:
        yield publish


def run_sweep() -> None:
    MaintenanceLease.objects.all().delete()
    sweep.sweep_generations()


def lost(variant: Variant, **columns: Any) -> Generation:
    lease = timezone.now() - timedelta(seconds=1)
    return add_turn(
        make_conversation(uuid.uuid4()), variant, state=State.RUNNING, lease_expires_at=lease, attempt=1, **columns
    )


def test_a_lost_run_is_queued_again_and_somebody_is_woken(variant: Variant, published: mock.Mock) -> None:
    generation = lost(variant)
    run_sweep()
    generation.refresh_from_db()
    assert (generation.state, generation.lost_leases, generation.attempt) == (State.QUEUED, 1, 1)
    published.assert_called_once_with(generation.pk, "generations")


def test_a_run_lost_too_often_fails_and_says_so(variant: Variant, settings: Any) -> None:
    settings.GENERATION_MAX_ATTEMPTS = 3
    generation = lost(variant, lost_leases=2)
    run_sweep()
    generation.refresh_from_db()
    assert (generation.state, generation.error_code) == (State.FAILED, "worker_lost")
    assert "3 times" in generation.error_message


def test_a_lost_run_that_was_cancelled_ends(variant: Variant, published: mock.Mock) -> None:
    generation = lost(variant, cancel_requested_at=timezone.now())
    run_sweep()
    generation.refresh_from_db()
    assert generation.state == State.CANCELLED
    published.assert_not_called()


def test_a_run_with_a_living_lease_is_left_alone(variant: Variant, published: mock.Mock) -> None:
    generation = add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING)
    run_sweep()
    generation.refresh_from_db()
    assert generation.state == State.RUNNING
    published.assert_not_called()


def test_a_queued_run_is_announced_again_at_growing_intervals(variant: Variant, published: mock.Mock) -> None:
    generation = add_turn(make_conversation(uuid.uuid4()), variant, state=State.QUEUED)
    for pause_s in (10, 20, 40, 60, 60):
        Generation.objects.filter(pk=generation.pk).update(dispatch_after=timezone.now())
        before = timezone.now()
        run_sweep()
        earliest, latest = before + timedelta(seconds=pause_s), timezone.now() + timedelta(seconds=pause_s)
        generation.refresh_from_db()
        assert earliest <= generation.dispatch_after <= latest
        run_sweep()
    assert published.call_count == 5


def test_a_broker_that_is_away_is_asked_once_a_sweep_and_by_every_sweep(variant: Variant, published: mock.Mock) -> None:
    published.return_value = False
    runs = [add_turn(make_conversation(uuid.uuid4()), variant, state=State.QUEUED) for _ in range(3)]
    for sweeps in range(1, 7):
        run_sweep()
        assert published.call_count == sweeps
    # One whose own queue is broken does not stand before the others.
    assert {call.args[0] for call in published.call_args_list} == {run.pk for run in runs}
    published.return_value = True
    run_sweep()
    assert published.call_count == 6 + len(runs)


def test_one_process_at_a_time_sweeps(variant: Variant, published: mock.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SINGLE_FLIGHT", timedelta(hours=1))
    sweep.sweep_generations()
    lost(variant)
    sweep.sweep_generations()
    published.assert_not_called()
    MaintenanceLease.objects.update(free_at=timezone.now())
    sweep.sweep_generations()
    published.assert_called_once()


def test_workers_that_are_long_gone_are_forgotten() -> None:
    now = timezone.now()
    for name, age in (("old", timedelta(days=2)), ("new", timedelta(0))):
        WorkerHeartbeat.objects.create(worker_id=name, capacity=1, started_at=now, seen_at=now - age)
    run_sweep()
    assert [worker.worker_id for worker in WorkerHeartbeat.objects.all()] == ["new"]
