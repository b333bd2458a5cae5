"""The generation contract against real workers that die, freeze or end: one whole answer, or one failure."""

from __future__ import annotations

import time

import pytest

from portal.catalog.models import Variant
from portal.playground.models import Generation, State, WorkerHeartbeat
from tests.processes.whole_answers import Send, Start, Watch, assert_one_whole_answer, half_way, lost_lease
from tests.processes.worker_process import WorkerProcess
from tests.services.installation import START_WITHIN_S, eventually

pytestmark = [pytest.mark.processes, pytest.mark.contract, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def start_slow_worker(start_worker: Start, variant: Variant) -> Start:
    """Its answers last until it is killed or halted, however late that is; workers that start after it are faster."""

    def start(**environment: str) -> WorkerProcess:
        Variant.objects.filter(pk=variant.pk).update(facts={"step_s": 0.1})
        worker = start_worker(**environment)
        Variant.objects.filter(pk=variant.pk).update(facts=variant.facts)
        return worker

    return start


def test_a_killed_workers_run_is_written_anew_by_another(
    start_slow_worker: Start, start_worker: Start, send: Send, watch: Watch
) -> None:
    first = start_slow_worker()
    generation = send(200)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    first.kill()
    start_worker()
    lost_lease(generation)
    screen = viewer.wait_for_end()
    assert_one_whole_answer(screen, generation, 200)
    assert screen.resets == 1
    assert (generation.attempt, generation.lost_leases) == (2, 1)


def test_a_run_that_loses_every_worker_fails_once_and_says_so(start_worker: Start, send: Send, watch: Watch) -> None:
    generation = send(5000)
    viewer = watch(generation)
    worker = start_worker(GENERATION_MAX_ATTEMPTS="2")
    for resets in range(2):
        viewer.wait_for(lambda screen, resets=resets: screen.resets == resets and half_way(screen))
        worker.kill()
        worker = start_worker(GENERATION_MAX_ATTEMPTS="2")
        lost_lease(generation, attempt=resets + 1)
    screen = viewer.wait_for_end()
    assert [event.data["code"] for event in screen.terminals] == ["worker_lost"]
    generation.refresh_from_db()
    assert (generation.state, generation.error_code) == (State.FAILED, "worker_lost")


def test_a_frozen_workers_late_writes_change_nothing(
    start_slow_worker: Start, start_worker: Start, send: Send, watch: Watch
) -> None:
    frozen = start_slow_worker()
    generation = send(200)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    frozen.freeze()
    start_worker()
    lost_lease(generation)
    viewer.wait_for(lambda screen: screen.resets == 1 and half_way(screen))
    frozen.thaw()
    screen = viewer.wait_for_end()
    assert_one_whole_answer(screen, generation, 200)
    time.sleep(1)
    assert_one_whole_answer(watch(generation).wait_for_end(), generation, 200)
    assert generation.attempt == 2


def test_a_worker_told_to_end_under_load_gives_its_runs_back(start_worker: Start, send: Send, watch: Watch) -> None:
    first = start_worker()
    generations = [send(300) for _ in range(24)]
    viewers = [watch(generation) for generation in generations]
    viewers[0].wait_for(half_way)
    first.stop()
    assert first.process.returncode == 0
    assert not Generation.objects.filter(state=State.RUNNING).exists()
    start_worker()
    for generation, viewer in zip(generations, viewers, strict=True):
        assert_one_whole_answer(viewer.wait_for_end(240), generation, 300)
        assert generation.lost_leases == 0


@pytest.fixture
def slow_to_load(variant: Variant) -> Variant:
    """A second set of weights, which the same worker loads for longer than any test takes."""
    facts = {"step_s": 0.02, "build_s": 300}
    return Variant.objects.create(card=variant.card, slug="slow", backend="scripted", source="none", facts=facts)


def test_a_run_keeps_its_lease_while_the_worker_loads_other_weights(
    start_worker: Start, send: Send, watch: Watch, slow_to_load: Variant
) -> None:
    start_worker(wait=False, GENERATION_LEASE_S="12")
    generation = send(600)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    begun = Generation.objects.get(pk=generation.pk).lease_expires_at
    renewed = Generation.objects.filter(pk=generation.pk, attempt=1, lease_expires_at__gt=begun)
    eventually(renewed.exists, 60, "the lease is renewed")
    assert not WorkerHeartbeat.objects.exists(), "the weights are loaded: this shows nothing"
    assert_one_whole_answer(viewer.wait_for_end(), generation, 600)
    assert (generation.attempt, generation.lost_leases) == (1, 0)


def test_a_worker_told_to_end_while_it_loads_weights_ends_soon(
    start_worker: Start, send: Send, slow_to_load: Variant
) -> None:
    worker = start_worker(wait=False)
    eventually(lambda: " ready." in worker.log.read_text(), START_WITHIN_S, "the worker takes tasks")
    worker.stop(within_s=120)
    assert "Traceback" not in worker.log.read_text()
