"""The generation contract against real processes: streamed once and whole, resumed anywhere, stopped, refused."""

from __future__ import annotations

import time
import uuid

import pytest

from portal.playground import following
from portal.playground.dispatch import publish
from portal.playground.models import Generation, State
from portal.playground.services import cancel_generation
from portal.playground.stream import StreamId
from portal.playground.worker import UNTELLABLE
from tests.processes.scripted_backend import counted
from tests.processes.viewer import Screen, Viewer
from tests.processes.whole_answers import Send, Start, Watch, assert_one_whole_answer, half_way

pytestmark = [pytest.mark.processes, pytest.mark.contract, pytest.mark.django_db(transaction=True)]


def test_an_answer_streams_once_and_whole_from_any_event_and_until_it_is_cancelled(
    start_worker: Start, send: Send, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every event is to come from the stream, however long one takes; a row's have no ids.
    monkeypatch.setattr(following, "ROW_INTERVAL_S", 60.0)
    start_worker()
    generation = send(60)
    screen = watch(generation).wait_for_end()
    assert_one_whole_answer(screen, generation, 60)
    assert screen.resets == 0
    assert generation.attempt == 1
    _a_viewer_may_reconnect_behind_any_event(send, watch)
    _a_cancelled_run_stops_and_keeps_what_was_shown(send, watch)


def _a_viewer_may_reconnect_behind_any_event(send: Send, watch: Watch) -> None:
    generation = send(20)
    whole = watch(generation)
    whole.wait_for_end()
    ids = [event_id for event_id, _ in whole.events if event_id is not None]
    assert ids == [StreamId(1, seq) for seq in range(1, len(ids) + 1)]
    resumed: list[Viewer] = []
    for event_id in ids[:-1]:
        screen = Screen()
        for _, event in whole.events[: [each for each, _ in whole.events].index(event_id) + 1]:
            screen.apply(event)
        resumed.append(Viewer(generation, after=event_id, screen=screen))
        resumed[-1].start()
    for place, viewer in enumerate(resumed):
        assert_one_whole_answer(viewer.wait_for_end(), generation, 20)
        assert [each for each, _ in viewer.events] == ids[place + 1 :]


def _a_cancelled_run_stops_and_keeps_what_was_shown(send: Send, watch: Watch) -> None:
    generation = send(1000)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    assert cancel_generation(generation)
    screen = viewer.wait_for_end()
    generation.refresh_from_db()
    assert generation.state == State.CANCELLED
    assert screen.terminals[0].data["finish_reason"] == "cancelled"
    assert counted(1000).startswith(screen.text)
    assert generation.output == screen.text
    assert not cancel_generation(generation)


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


def test_a_run_cancelled_in_the_queue_never_starts(start_worker: Start, send: Send, watch: Watch) -> None:
    generation = send(20)
    viewer = watch(generation)
    assert cancel_generation(generation)
    screen = viewer.wait_for_end()
    assert screen.terminals[0].data["finish_reason"] == "cancelled"
    start_worker()
    time.sleep(1)
    generation.refresh_from_db()
    assert (generation.state, generation.attempt, generation.output) == (State.CANCELLED, 0, "")


def test_a_run_that_takes_too_long_ends_at_its_deadline(start_worker: Start, send: Send, watch: Watch) -> None:
    start_worker(GENERATION_DEADLINE_S="1")
    generation = send(1000)
    screen = watch(generation).wait_for_end()
    assert screen.terminals[0].data["finish_reason"] == "deadline"
    generation.refresh_from_db()
    assert generation.output == screen.text
    assert counted(1000).startswith(screen.text)


def test_a_run_that_cannot_be_answered_or_told_fails_alone_and_in_words(
    start_worker: Start, send: Send, watch: Watch
) -> None:
    refused, untellable, sound = send(60), send(60), send(60)
    for run, prompt in ((refused, "sing"), (untellable, "count too far")):
        Generation.objects.filter(pk=run.pk).update(messages=[{"role": "user", "content": prompt}])
    viewers = [watch(run) for run in (refused, untellable, sound)]
    start_worker()
    assert_one_whole_answer(viewers[2].wait_for_end(), sound, 60)
    told = [[event.data for event in viewer.wait_for_end().terminals] for viewer in viewers[:2]]
    assert told == [
        [{"code": "unsupported", "message": "This engine can only count."}],
        [{"code": "internal", "message": UNTELLABLE}],
    ]
    for run, code in ((refused, "unsupported"), (untellable, "internal")):
        run.refresh_from_db()
        assert (run.state, run.error_code, run.attempt) == (State.FAILED, code, 1)
