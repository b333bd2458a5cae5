"""The generation contract against real processes: whatever dies or hangs, exactly one whole answer, or one failure."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable

import pytest

from portal.catalog.models import Variant
from portal.playground.dispatch import publish
from portal.playground.models import Generation, State, TokenTrace, WorkerHeartbeat
from portal.playground.services import cancel_generation
from portal.playground.stream import StreamId
from tests.processes.scripted_backend import counted
from tests.processes.viewer import Screen, Viewer
from tests.processes.worker_process import WorkerProcess
from tests.services.installation import eventually
from tests.services.valkey import Valkey

pytestmark = [pytest.mark.processes, pytest.mark.contract, pytest.mark.django_db(transaction=True)]

Start = Callable[..., WorkerProcess]
Send = Callable[[int], Generation]
Watch = Callable[[Generation], Viewer]


def assert_one_whole_answer(screen: Screen, generation: Generation, number: int) -> None:
    assert screen.text == counted(number)
    assert [event.type for event in screen.terminals] == ["finished"]
    generation.refresh_from_db()
    assert generation.state == State.SUCCEEDED
    assert generation.output == counted(number)
    tokens = TokenTrace.objects.get(generation=generation).tokens
    assert [token["id"] for token in tokens] == list(range(1, number + 1))


def half_way(screen: Screen) -> bool:
    return "30 " in screen.text


def test_an_answer_streams_once_and_whole(start_worker: Start, send: Send, watch: Watch) -> None:
    start_worker()
    generation = send(60)
    screen = watch(generation).wait_for_end()
    assert_one_whole_answer(screen, generation, 60)
    assert screen.resets == 0
    assert generation.attempt == 1


def test_a_killed_workers_run_is_written_anew_by_another(start_worker: Start, send: Send, watch: Watch) -> None:
    first = start_worker()
    generation = send(100)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    first.kill()
    start_worker()
    screen = viewer.wait_for_end()
    assert_one_whole_answer(screen, generation, 100)
    assert screen.resets == 1
    assert (generation.attempt, generation.lost_leases) == (2, 1)


def test_a_run_that_loses_every_worker_fails_once_and_says_so(start_worker: Start, send: Send, watch: Watch) -> None:
    generation = send(5000)
    viewer = watch(generation)
    worker = start_worker(GENERATION_MAX_ATTEMPTS="2")
    for _ in range(2):
        seen = len(viewer.events)
        viewer.wait_for(lambda _screen, seen=seen: len(viewer.events) > seen + 5 and half_way(viewer.screen))
        worker.kill()
        worker = start_worker(GENERATION_MAX_ATTEMPTS="2")
    screen = viewer.wait_for_end()
    assert [event.data["code"] for event in screen.terminals] == ["worker_lost"]
    generation.refresh_from_db()
    assert (generation.state, generation.error_code) == (State.FAILED, "worker_lost")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restarted_valkey_costs_no_token(
    how: signal.Signals, start_worker: Start, send: Send, watch: Watch, valkey: Valkey
) -> None:
    start_worker()
    generation = send(150)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    valkey.stop(how)
    time.sleep(0.7)
    valkey.start()
    screen = viewer.wait_for_end()
    assert_one_whole_answer(screen, generation, 150)
    assert generation.attempt == 1


def test_a_valkey_that_lost_its_memory_costs_no_token(
    start_worker: Start, send: Send, watch: Watch, valkey: Valkey
) -> None:
    worker = start_worker()
    generation = send(150)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    valkey.restart_empty()
    assert_one_whole_answer(viewer.wait_for_end(), generation, 150)
    later = send(20)
    assert_one_whole_answer(watch(later).wait_for_end(), later, 20)
    assert worker.process.poll() is None


def test_a_flushed_stream_is_written_again(start_worker: Start, send: Send, watch: Watch, valkey: Valkey) -> None:
    start_worker()
    generation = send(100)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    valkey.flush()
    assert_one_whole_answer(viewer.wait_for_end(), generation, 100)
    late = watch(generation)
    assert_one_whole_answer(late.wait_for_end(), generation, 100)


def test_a_frozen_valkey_costs_no_token(start_worker: Start, send: Send, watch: Watch, valkey: Valkey) -> None:
    start_worker()
    generation = send(150)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    valkey.freeze(5)
    assert_one_whole_answer(viewer.wait_for_end(), generation, 150)


def test_a_prompt_sent_while_the_broker_is_away_is_answered_when_it_returns(
    start_worker: Start, send: Send, watch: Watch, valkey: Valkey
) -> None:
    start_worker()
    valkey.stop()
    generation = send(20)
    viewer = watch(generation)
    time.sleep(0.5)
    valkey.start()
    assert_one_whole_answer(viewer.wait_for_end(), generation, 20)


def test_a_frozen_workers_late_writes_change_nothing(start_worker: Start, send: Send, watch: Watch) -> None:
    frozen = start_worker()
    generation = send(200)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    frozen.signal(signal.SIGSTOP)
    start_worker()
    viewer.wait_for(lambda screen: screen.resets == 1 and half_way(screen))
    frozen.signal(signal.SIGCONT)
    screen = viewer.wait_for_end()
    assert_one_whole_answer(screen, generation, 200)
    time.sleep(1)
    assert_one_whole_answer(watch(generation).wait_for_end(), generation, 200)
    assert generation.attempt == 2


def test_a_task_delivered_many_times_runs_once(start_worker: Start, send: Send, watch: Watch) -> None:
    start_worker()
    start_worker()
    generation = send(60)
    for _ in range(20):
        publish(generation.pk, "generations")
    assert_one_whole_answer(watch(generation).wait_for_end(), generation, 60)
    publish(generation.pk, "generations")
    publish(uuid.uuid4(), "generations")
    time.sleep(0.5)
    generation.refresh_from_db()
    assert generation.attempt == 1


def test_a_worker_told_to_end_under_load_gives_its_runs_back(start_worker: Start, send: Send, watch: Watch) -> None:
    first = start_worker()
    generations = [send(300) for _ in range(24)]
    viewers = [watch(generation) for generation in generations]
    viewers[0].wait_for(half_way)
    assert first.stop() < 10
    assert first.process.returncode == 0
    assert not Generation.objects.filter(state=State.RUNNING).exists()
    start_worker()
    for generation, viewer in zip(generations, viewers, strict=True):
        assert_one_whole_answer(viewer.wait_for_end(120), generation, 300)
        assert generation.lost_leases == 0


@pytest.fixture
def slow_to_load(variant: Variant) -> Variant:
    """A second set of weights, which the same worker loads for a while."""
    facts = {"step_s": 0.02, "build_s": 12}
    return Variant.objects.create(card=variant.card, slug="slow", backend="scripted", source="none", facts=facts)


def test_a_run_keeps_its_lease_while_the_worker_loads_other_weights(
    start_worker: Start, send: Send, watch: Watch, slow_to_load: Variant
) -> None:
    start_worker(wait=False)
    generation = send(300)
    assert_one_whole_answer(watch(generation).wait_for_end(), generation, 300)
    assert (generation.attempt, generation.lost_leases) == (1, 0)
    assert not WorkerHeartbeat.objects.exists(), "the weights were loaded before the answer ended: this shows nothing"


def test_a_worker_told_to_end_while_it_loads_weights_ends_soon(
    start_worker: Start, send: Send, slow_to_load: Variant
) -> None:
    worker = start_worker(wait=False)
    eventually(lambda: " ready." in worker.log.read_text(), 30, "the worker takes tasks")
    assert worker.stop(timeout_s=40) < 20
    assert "Traceback" not in worker.log.read_text()


def test_a_viewer_may_reconnect_behind_any_event(start_worker: Start, send: Send, watch: Watch) -> None:
    start_worker()
    generation = send(20)
    whole = watch(generation)
    whole.wait_for_end()
    ids = [event_id for event_id, _ in whole.events if event_id is not None]
    assert ids == [StreamId(1, seq) for seq in range(1, len(ids) + 1)]
    for place, event_id in enumerate(ids[:-1]):
        screen = Screen()
        for _, event in whole.events[: [each for each, _ in whole.events].index(event_id) + 1]:
            screen.apply(event)
        resumed = Viewer(generation, after=event_id, screen=screen)
        resumed.start()
        assert_one_whole_answer(resumed.wait_for_end(), generation, 20)
        assert [each for each, _ in resumed.events] == ids[place + 1 :]


def test_a_cancelled_run_stops_and_keeps_what_was_shown(start_worker: Start, send: Send, watch: Watch) -> None:
    start_worker()
    generation = send(1000)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    assert cancel_generation(generation)
    screen = viewer.wait_for_end(10)
    generation.refresh_from_db()
    assert generation.state == State.CANCELLED
    assert screen.terminals[0].data["finish_reason"] == "cancelled"
    assert counted(1000).startswith(screen.text)
    assert generation.output == screen.text
    assert not cancel_generation(generation)


def test_a_run_cancelled_in_the_queue_never_starts(start_worker: Start, send: Send, watch: Watch) -> None:
    generation = send(20)
    viewer = watch(generation)
    assert cancel_generation(generation)
    screen = viewer.wait_for_end(10)
    assert screen.terminals[0].data["finish_reason"] == "cancelled"
    start_worker()
    time.sleep(1)
    generation.refresh_from_db()
    assert (generation.state, generation.attempt, generation.output) == (State.CANCELLED, 0, "")


def test_a_run_that_takes_too_long_ends_at_its_deadline(start_worker: Start, send: Send, watch: Watch) -> None:
    start_worker(GENERATION_DEADLINE_S="1")
    generation = send(1000)
    screen = watch(generation).wait_for_end(15)
    assert screen.terminals[0].data["finish_reason"] == "deadline"
    generation.refresh_from_db()
    assert generation.output == screen.text
    assert counted(1000).startswith(screen.text)


def test_a_run_that_the_engine_refuses_fails_alone_and_in_words(start_worker: Start, send: Send, watch: Watch) -> None:
    poisoned, sound = send(60), send(60)
    Generation.objects.filter(pk=poisoned.pk).update(messages=[{"role": "user", "content": "sing"}])
    viewers = watch(poisoned), watch(sound)
    start_worker()
    assert_one_whole_answer(viewers[1].wait_for_end(), sound, 60)
    screen = viewers[0].wait_for_end()
    assert [event.data for event in screen.terminals] == [
        {"code": "unsupported", "message": "This engine can only count."}
    ]
    poisoned.refresh_from_db()
    assert (poisoned.state, poisoned.error_code) == (State.FAILED, "unsupported")
