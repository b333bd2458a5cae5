"""Tallies of ended runs: each run once, whatever becomes of its row, and the same sums folded as not."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation, RunTally, State
from portal.playground.models.tally import EDGES_S, KEY, MOST_TOKENS, SUMS, UNMEASURED, time_class
from portal.playground.retention import purge_conversations
from portal.playground.tallies import fold_tallies
from tests.playground.turns import add_turn, make_conversation, make_variant

LEASE = timedelta(seconds=60)
USAGE = {"prompt_tokens": 7, "completion_tokens": 5}
TIMINGS = {"queue_s": 0.3, "first_token_s": 1.2}


def running(variant: Variant, **columns: Any) -> Generation:
    return add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING, attempt=1, **columns)


def ended() -> Counter[tuple[str, str]]:
    """How many runs ended by state and error."""
    return Counter({(row.state, row.error_code): row.runs for row in RunTally.objects.all()})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda run: run.succeed(finish_reason="stop", usage=USAGE, timings=TIMINGS), ("succeeded", "")),
        (lambda run: run.succeed(finish_reason="cancelled", usage=USAGE, timings=TIMINGS), ("cancelled", "")),
        (lambda run: run.fail("upstream", "It broke.", timings=TIMINGS), ("failed", "upstream")),
    ],
)
def test_a_run_that_ends_is_counted_once(variant: Variant, end: Any, expected: tuple[str, str]) -> None:
    run = running(variant)
    assert end(run)
    assert not end(run)
    assert not run.fail("internal", "Late.")
    assert ended() == {expected: 1}


@pytest.mark.django_db
def test_a_run_without_a_worker_is_counted_without_times(variant: Variant) -> None:
    waiting = add_turn(make_conversation(uuid.uuid4()), variant, state=State.QUEUED)
    assert waiting.request_cancel()
    lost = running(variant, lease_expires_at=timezone.now() - LEASE)
    assert lost.expire_to_failed("worker_lost", "Lost.")
    assert ended() == {("cancelled", ""): 1, ("failed", "worker_lost"): 1}
    assert {(row.queue_class, row.first_token_class) for row in RunTally.objects.all()} == {(UNMEASURED, UNMEASURED)}


@pytest.mark.django_db
def test_what_goes_back_to_the_queue_has_not_ended(variant: Variant) -> None:
    assert running(variant).release()
    assert running(variant, lease_expires_at=timezone.now() - LEASE).expire_to_queued()
    assert running(variant).request_cancel()
    assert not RunTally.objects.exists()


@pytest.mark.django_db
def test_a_purged_run_stays_counted(variant: Variant) -> None:
    run = running(variant)
    assert run.succeed(finish_reason="stop", usage=USAGE, timings=TIMINGS)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(days=400))
    purge_conversations()
    assert not Generation.objects.exists()
    assert ended() == {("succeeded", ""): 1}


@pytest.mark.django_db
@pytest.mark.parametrize(("told", "counted"), [(10**40, MOST_TOKENS), (-3, 0), (12, 12)])
def test_an_absurd_number_of_tokens_spoils_no_sum(variant: Variant, told: int, counted: int) -> None:
    RunTally.of_one(variant.pk, State.SUCCEEDED, {"usage": {"prompt_tokens": told, "completion_tokens": told}}).save()
    row = RunTally.objects.get()
    assert (row.prompt_tokens, row.completion_tokens) == (counted, counted)


@pytest.mark.django_db
def test_a_clock_that_was_set_back_makes_no_sum_smaller(variant: Variant) -> None:
    timings = {"queue_s": -5.0, "first_token_s": -4.0}
    RunTally.of_one(variant.pk, State.SUCCEEDED, {"timings": timings}).save()
    row = RunTally.objects.get()
    assert (row.queue_ms, row.first_token_ms, row.queue_class, row.first_token_class) == (0, 0, 0, 0)


@given(st.floats(-1, 1_000) | st.sampled_from(EDGES_S))
def test_a_time_is_in_the_first_class_whose_edge_it_does_not_exceed(seconds: float) -> None:
    expected = next((index for index, edge in enumerate(EDGES_S) if seconds <= edge), len(EDGES_S))
    assert time_class(seconds) == expected


def sums() -> dict[tuple[Any, ...], tuple[int, ...]]:
    """What all rows of a kind add up to, one by one."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in RunTally.objects.all():
        into = found.setdefault(tuple(getattr(row, name) for name in KEY), [0] * len(SUMS))
        for place, name in enumerate(SUMS):
            into[place] += getattr(row, name)
    return {key: tuple(values) for key, values in found.items()}


RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "error_code": st.sampled_from(["internal", "upstream"]),
        "usage": st.fixed_dictionaries(
            {"prompt_tokens": st.integers(0, 10**12), "completion_tokens": st.integers(0, 10**12)}
        ),
        "timings": st.fixed_dictionaries({"queue_s": st.floats(0, 400)}, optional={"first_token_s": st.floats(0, 400)}),
    },
)
ENDS = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["succeeded", "failed"]), RESULTS), max_size=20)


class Folding(TestCase):
    """Whatever ended, in two goes."""

    @given(ENDS, ENDS)
    def test_folded_rows_add_up_to_the_same(self, first: Any, second: Any) -> None:
        variants = [make_variant(slug="a"), make_variant(slug="b")]
        for ends in (first, second):
            for which, state, result in ends:
                RunTally.of_one(variants[which].pk, state, result).save()
            before = sums()
            assert fold_tallies() == len(ends)
            assert sums() == before
            assert RunTally.objects.count() == len(before)
            assert fold_tallies() == 0


@pytest.mark.django_db
def test_a_large_backlog_is_folded_in_batches(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.playground.tallies.BATCH", 4)
    RunTally.objects.bulk_create([RunTally.of_one(variant.pk, "succeeded", {"usage": USAGE}) for _ in range(10)])
    assert [fold_tallies() for _ in range(4)] == [4, 4, 2, 0]
    [row] = RunTally.objects.all()
    assert (row.runs, row.prompt_tokens, row.completion_tokens) == (10, 70, 50)


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_lose_nothing_and_no_sum_goes_back() -> None:
    variants = [make_variant(slug=slug) for slug in "abc"]
    each, threads = 20, 3
    failures: list[Exception] = []

    def end_and_fold(number: int) -> None:
        try:
            for index in range(each):
                RunTally.of_one(variants[(number + index) % 3].pk, "succeeded", {"usage": USAGE}).save()
                if index % 3 == 0:
                    fold_tallies()
        except Exception as error:  # noqa: BLE001 - told to the test, whose thread is another one
            failures.append(error)
        finally:
            connection.close()

    working = [threading.Thread(target=end_and_fold, args=[number]) for number in range(threads)]
    for thread in working:
        thread.start()
    seen = [0]
    while any(thread.is_alive() for thread in working):
        seen.append(RunTally.objects.aggregate(runs=Sum("runs"))["runs"] or 0)
    assert failures == []
    assert seen == sorted(seen)
    while fold_tallies():
        pass
    assert RunTally.objects.count() == 3
    assert RunTally.objects.aggregate(runs=Sum("runs"))["runs"] == each * threads
