"""The queue of a process's writers: its order, and what becomes of who leaves it."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from portal.sqlite_turns.writers_queue import Patience, WritersQueue
from tests.services.installation import eventually


def test_writers_have_their_turns_in_the_order_of_their_coming_and_who_leaves_has_none() -> None:
    queue, had = WritersQueue(), list[int]()
    assert queue.take(Patience(0))
    assert not queue.take(Patience(0.01))

    def wait_in_line(number: int) -> None:
        assert queue.take(Patience(60))
        had.append(number)
        queue.give_back()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=wait_in_line, args=(number,)))
        threads[-1].start()
        eventually(lambda: len(queue._waiting) == len(threads), 30, "the thread waits")
    queue.give_back()
    # Who comes now comes last, though it has the core.
    wait_in_line(5)
    for thread in threads:
        thread.join()
    assert had == list(range(6))


def test_a_signal_that_interrupts_a_waiting_writer_costs_the_others_nothing() -> None:
    queue = WritersQueue()
    assert queue.take(Patience(0))

    def interrupt(signum: int, frame: Any) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(InterruptedError):
            queue.take(Patience(60))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    queue.give_back()
    assert queue.take(Patience(0))


def test_a_turn_that_a_collector_gives_back_is_had_by_who_waits_and_by_who_comes() -> None:
    queue = WritersQueue()
    assert queue.take(Patience(0))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.take, Patience(60))
        eventually(lambda: len(queue._waiting) == 1, 30, "the thread waits")
        # It may run in whichever thread, with the queue's own lock.
        with queue._lock:
            queue.abandon()
        assert waiting.result(30)
    queue.abandon()
    assert queue.take(Patience(0))
