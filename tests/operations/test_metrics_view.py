"""`/metrics`: what it says is what the rows say, in a fixed number of queries."""

from __future__ import annotations

import re
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

import portal
from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.operations import census
from portal.playground.loading import loading_teller
from portal.playground.models import RunTally, State, WorkerHeartbeat
from portal.playground.models.tally import EDGES_S
from portal.playground.tallies import fold_tallies
from portal.reviews.models import ReviewItem
from portal.webhooks.models import Delivery
from tests.feedback.judgements import judge
from tests.operations.busy_rows import ago, heartbeat
from tests.operations.scraper import WITH_TOKEN, scraped, told
from tests.playground.turns import add_turn, make_conversation, make_variant
from tests.services.installation import ROOT

pytestmark = pytest.mark.usefixtures("scraper_token", "store_answers", "fresh_limits")


def seconds_since(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds()


def test_runs_that_wait_or_are_under_way_are_those_of_the_rows(busy: list[Variant]) -> None:
    values = scraped()
    for variant in busy:
        names = {"variant": variant.model_id, "queue": variant.queue}
        mine = list(variant.generations.all())
        for state in ("queued", "running"):
            assert told(values, "generations", **names, state=state) == [run.state for run in mine].count(state)
        ages = [seconds_since(run.queued_at) for run in mine if run.state == "queued"]
        oldest = told(values, "generation_oldest_queued_seconds", **names)
        assert oldest == pytest.approx(max(ages, default=0), abs=60)


@pytest.mark.parametrize("fold", [False, True])
def test_runs_that_ended_are_those_of_the_rows(busy: list[Variant], fold: bool) -> None:
    if fold:
        assert fold_tallies()
    values = scraped()
    for variant in busy:
        model = variant.model_id
        mine = list(variant.generations.all())
        for state in ("succeeded", "failed", "cancelled"):
            ended = told(values, "generations_finished_total", variant=model, state=state)
            assert ended == [run.state for run in mine].count(state)
        for code, count in Counter(run.error_code for run in mine if run.error_code).items():
            assert told(values, "generations_failed_total", variant=model, code=code) == count
        for kind in ("prompt", "completion"):
            total = sum(run.usage.get(f"{kind}_tokens", 0) for run in mine)
            assert told(values, "generation_tokens_total", variant=model, kind=kind) == total


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", ["queue", "first_token"])
def test_times_of_runs_are_those_of_the_rows(busy: list[Variant], name: str, fold: bool) -> None:
    if fold:
        assert fold_tallies()
    values = scraped()
    for variant in busy:
        timings = [run.timings for run in variant.generations.all()]
        seconds = [each[f"{name}_s"] for each in timings if f"{name}_s" in each]
        assert seconds
        for edge in (*EDGES_S, float("inf")):
            bound = "+Inf" if edge == float("inf") else str(edge)
            bucket = told(values, f"generation_{name}_seconds_bucket", variant=variant.model_id, le=bound)
            assert bucket == sum(value <= edge for value in seconds)
        assert told(values, f"generation_{name}_seconds_count", variant=variant.model_id) == len(seconds)
        total = told(values, f"generation_{name}_seconds_sum", variant=variant.model_id)
        assert total == pytest.approx(sum(seconds))


@pytest.mark.usefixtures("busy")
def test_what_is_under_review_is_that_of_the_rows() -> None:
    values = scraped()
    assert told(values, "review_items", state="question") == 1
    for state in ("waiting", "question", "adjudication"):
        items = [item for item in ReviewItem.objects.all() if item.state == state]
        assert told(values, "review_items", state=state) == len(items)
        ages = [seconds_since(item.entered_at) for item in items]
        oldest = told(values, "review_oldest_item_seconds", state=state)
        assert oldest == pytest.approx(max(ages, default=0), abs=60)


@pytest.mark.usefixtures("busy")
def test_messages_of_webhooks_are_those_of_the_rows() -> None:
    values = scraped()
    rows = [(each.state, each.endpoint.disabled) for each in Delivery.objects.select_related("endpoint")]
    assert told(values, "webhook_deliveries", state="waiting") == rows.count(("waiting", "")) == 4
    assert told(values, "webhook_deliveries", state="held") == rows.count(("waiting", "failing")) == 2
    assert told(values, "webhook_deliveries", state="sending") == rows.count(("sending", "")) == 1
    # Who is switched off keeps nobody waiting.
    assert told(values, "webhook_overdue_seconds") == pytest.approx(50, abs=60)


@pytest.mark.usefixtures("busy")
def test_workers_are_told_with_their_pulse_and_the_variants_that_they_serve() -> None:
    values = scraped()
    assert told(values, "workers") == 1
    assert told(values, "worker_slots", worker="living") == 16
    assert told(values, "worker_info", worker="living", host="gpu-1", queues="generations,portal") == 1
    assert told(values, "worker_heartbeat_age_seconds", worker="living") == pytest.approx(2, abs=60)
    assert told(values, "worker_heartbeat_age_seconds", worker="silent") == pytest.approx(600, abs=60)
    assert ("steelyard_worker_slots", frozenset({("worker", "silent")})) not in values
    assert told(values, "variant_workers", variant="lab/scales:small", queue="generations") == 1
    assert told(values, "variant_workers", variant="lab/scales:large", queue="gpu") == 0


def test_a_worker_that_dies_and_comes_back_in_a_loop_does_not_fill_the_page(db: None) -> None:
    now = timezone.now()
    WorkerHeartbeat.objects.bulk_create(
        WorkerHeartbeat(worker_id=f"w{age}", hostname="h", capacity=1, started_at=now, seen_at=ago(age))
        for age in range(20, 20 + 2 * census.MOST_WORKERS)
    )
    heartbeat("living")
    heartbeat("long-gone", age_s=census.SILENT_WITHIN.total_seconds() + 60)
    values = scraped()
    workers = {dict(labels)["worker"] for name, labels in values if name == "steelyard_worker_heartbeat_age_seconds"}
    assert len(workers) == census.MOST_WORKERS
    assert "living" in workers
    assert "long-gone" not in workers


def test_weights_that_are_being_loaded_are_told_with_how_far(db: None) -> None:
    variant, other = make_variant(slug="a"), make_variant(slug="b")
    loading_teller(variant.pk)(0.37, "loading")
    values = scraped()
    assert told(values, "variant_loading_ratio", variant=variant.model_id) == 0.37
    assert ("steelyard_variant_loading_ratio", frozenset({("variant", other.model_id)})) not in values


def test_an_empty_installation_tells_zeros_and_what_is_missing(db: None) -> None:
    variant = make_variant()
    values = scraped()
    assert told(values, "ready") == 0
    assert {part: told(values, "part_up", part=part) for part in ("database", "migrations", "store", "worker")} == {
        "database": 1, "migrations": 1, "store": 1, "worker": 0
    }  # fmt: skip
    assert told(values, "scrape_complete") == 1
    assert told(values, "generations", variant=variant.model_id, queue="generations", state="queued") == 0
    assert told(values, "generations_finished_total", variant=variant.model_id, state="failed") == 0
    assert told(values, "review_items", state="waiting") == 0
    assert told(values, "webhook_deliveries", state="waiting") == 0
    assert told(values, "workers") == 0


def test_a_variant_that_can_no_longer_be_run_keeps_its_counters_and_its_runs(db: None) -> None:
    gone, unused = make_variant(slug="gone", is_runnable=False), make_variant(slug="unused", is_runnable=False)
    add_turn(make_conversation(uuid.uuid4()), gone, state=State.QUEUED)
    RunTally.of_one(gone.pk, State.SUCCEEDED, {}).save()
    values = scraped()
    assert told(values, "generations_finished_total", variant=gone.model_id, state="succeeded") == 1
    assert told(values, "generations", variant=gone.model_id, queue="generations", state="queued") == 1
    assert unused.model_id not in {dict(labels).get("variant") for _name, labels in values}


def test_it_says_what_runs_and_how_much_room_there_is(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.STEELYARD_HOME = tmp_path
    monkeypatch.setattr(
        "portal.operations.metrics.shutil.disk_usage", lambda folder: SimpleNamespace(free=4096, total=2 * 10**12)
    )
    values = scraped()
    python = ".".join(map(str, sys.version_info[:3]))
    labels = {"version": portal.__version__, "python": python, "database": connection.vendor}
    assert told(values, "build_info", **labels) == 1
    assert (told(values, "home_free_bytes"), told(values, "home_size_bytes")) == (4096, 2 * 10**12)


def test_names_and_types_are_as_the_conventions_of_prometheus_want_them(busy: list[Variant]) -> None:
    loading_teller(busy[0].pk)(0.5, "loading")
    text = Client().get("/metrics", headers=WITH_TOKEN).text
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families) > 20
    for family in families:
        assert family.name.startswith("steelyard_")
        assert family.documentation.endswith(".")
        assert family.samples, family.name
        assert family.type in {"gauge", "counter", "histogram"}
        assert (f"# TYPE {family.name}_total counter\n" in text) == (family.type == "counter")
        if family.type != "counter":
            assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert not any(unit in family.name for unit in ("_ms", "_minutes", "_percent", "_mb"))


def test_the_guide_explains_each_metric_and_no_other(busy: list[Variant]) -> None:
    loading_teller(busy[0].pk)(0.5, "loading")
    text = Client().get("/metrics", headers=WITH_TOKEN).text
    guide = (ROOT / "docs" / "operating.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    explained = set(re.findall(r"`(steelyard_\w+)`", guide))
    assert explained == set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    used = set(re.findall(r"\bsteelyard_\w+", guide))
    assert {name.removesuffix("_bucket") for name in used} == explained


@pytest.mark.parametrize(
    "hostile", ['"} 1\nsteelyard_ready 1', "back\\slash", "line\nbreak", 'quo"te', "ünïcode ✓", "{a=}"]
)
def test_whatever_a_label_holds_stays_in_the_label(db: None, hostile: str) -> None:
    variant = make_variant(queue=hostile)
    heartbeat(hostname=hostile, queues=[hostile])
    values = scraped()
    assert told(values, "ready") == 1
    assert told(values, "worker_info", worker="w", host=hostile, queues=hostile) == 1
    assert told(values, "variant_workers", variant=variant.model_id, queue=hostile) == 1


@pytest.mark.usefixtures("busy")
def test_more_of_everything_costs_no_more_queries(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    scraped()
    with CaptureQueriesContext(connection) as before:
        scraped()
    assert len(before) <= 13
    for number in range(12):
        variant = make_variant("lab/others", f"v{number}")
        for state in (State.QUEUED, State.RUNNING):
            add_turn(make_conversation(uuid.uuid4()), variant, state=state)
        RunTally.of_one(variant.pk, State.SUCCEEDED, {}).save()
        heartbeat(f"w{number}")
        judge(alice, thumb="up", comment=f"Number {number} is fine.")
    with django_assert_num_queries(len(before)):
        scraped()


@pytest.mark.sqlite
@pytest.mark.usefixtures("busy")
@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's plans")
def test_no_query_walks_what_is_over() -> None:
    plans: list[str] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            rows = connection.connection.execute(f"EXPLAIN QUERY PLAN {sql.replace('%s', '?')}", params or ())
            plans.extend(row[3] for row in rows)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        census.take_census(ask_store=True)
    short = {
        "playground_generation": {"generation_queue", "generation_lease"},
        "webhooks_delivery": {"webhook_delivery_due", "webhook_delivery_lease"},
        "reviews_reviewitem": {"item_of_state"},
    }
    for table, indexes in short.items():
        steps = [plan for plan in plans if f" {table} " in f"{plan} "]
        assert steps
        for step in steps:
            assert any(f"INDEX {index}" in step for index in indexes), step
