"""The generation contract against a real Valkey that dies, freezes or forgets: it costs seconds, and no token."""

from __future__ import annotations

import signal
import time

import pytest

from tests.processes.whole_answers import Send, Start, Watch, assert_one_whole_answer, half_way
from tests.processes.worker_process import IMPATIENT
from tests.services.valkey import Valkey

pytestmark = [pytest.mark.processes, pytest.mark.contract, pytest.mark.django_db(transaction=True)]


def test_a_restarted_valkey_costs_no_token(start_worker: Start, send: Send, watch: Watch, valkey: Valkey) -> None:
    start_worker(**IMPATIENT)
    for how in (signal.SIGTERM, signal.SIGKILL):
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
    worker = start_worker(**IMPATIENT)
    generation = send(150)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    valkey.restart_empty()
    assert_one_whole_answer(viewer.wait_for_end(), generation, 150)
    later = send(20)
    assert_one_whole_answer(watch(later).wait_for_end(), later, 20)
    _a_flushed_stream_is_written_again(send, watch, valkey)
    assert worker.process.poll() is None


def _a_flushed_stream_is_written_again(send: Send, watch: Watch, valkey: Valkey) -> None:
    generation = send(100)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    valkey.flush()
    assert_one_whole_answer(viewer.wait_for_end(), generation, 100)
    late = watch(generation)
    assert_one_whole_answer(late.wait_for_end(), generation, 100)


def test_a_frozen_valkey_costs_no_token_and_one_that_is_away_no_prompt(
    start_worker: Start, send: Send, watch: Watch, valkey: Valkey
) -> None:
    start_worker(**IMPATIENT)
    generation = send(150)
    viewer = watch(generation)
    viewer.wait_for(half_way)
    valkey.freeze(5)
    assert_one_whole_answer(viewer.wait_for_end(), generation, 150)
    _a_prompt_sent_while_the_broker_is_away_is_answered_when_it_returns(send, watch, valkey)


def _a_prompt_sent_while_the_broker_is_away_is_answered_when_it_returns(
    send: Send, watch: Watch, valkey: Valkey
) -> None:
    valkey.stop()
    generation = send(20)
    viewer = watch(generation)
    time.sleep(0.5)
    valkey.start()
    assert_one_whole_answer(viewer.wait_for_end(), generation, 20)
