"""`/metrics`: what it says is what the rows say, in a fixed number of queries, and to nobody else than operators."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

import portal
from portal.accounts import limits
from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.operations import census, metrics, readiness
from portal.playground.loading import loading_teller
from portal.playground.models import RunTally, State, WorkerHeartbeat
from portal.playground.models.tally import EDGES_S
from portal.playground.tallies import fold_tallies
from portal.reviews.models import QueuePolicy, ReviewItem
from portal.webhooks.models import Delivery, Endpoint
from tests.conftest import signed_in
from tests.feedback.judgements import judge
from tests.playground.turns import add_turn, make_conversation, make_variant
from tests.reviews.desk import give_verdict, item_of
from tests.services.installation import ROOT, environment_of, free_port

TOKEN = "a-scraper's-token".replace("'", "-") + "-of-32-characters-and-more"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def _token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


@pytest.fixture(autouse=True)
def _store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ping", lambda url: True)


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    """People's keys come again with each test's rolled-back database."""
    limits._limiters.cache_clear()
    yield
    limits._limiters.cache_clear()


@pytest.fixture
def _nothing_is_drawn(db: None) -> None:
    QueuePolicy.objects.filter(is_current=True).update(gold_percent=0)


def parsed(text: str) -> Values:
    """Each sample by its name and labels, as the library's own reader of the format has it; none is there twice."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(values) == len(samples)
    return values


def scraped() -> Values:
    answer = Client().get("/metrics", headers=WITH_TOKEN)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    return parsed(answer.text)


def told(values: Values, name: str, **labels: str) -> float:
    return values[f"steelyard_{name}", frozenset(labels.items())]


def names_in(values: Values) -> set[str]:
    return {name.removeprefix("steelyard_") for name, _labels in values}


def heartbeat(worker_id: str = "w", age_s: float = 1, **columns: Any) -> WorkerHeartbeat:
    now = timezone.now()
    columns = {"hostname": "gpu-1", "queues": ["generations", "portal"], "capacity": 16} | columns
    return WorkerHeartbeat.objects.create(
        worker_id=worker_id, started_at=now, seen_at=now - timedelta(seconds=age_s), **columns
    )


def ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def messages_to(owner: User, name: str, count: int, **columns: Any) -> None:
    disabled = columns.pop("disabled", "")
    endpoint = Endpoint.objects.create(
        owner=owner, name=name, url="https://example.org/", nonce="n", secret_digest="d", disabled=disabled
    )
    for number in range(count):
        Delivery.objects.create(
            endpoint=endpoint, message_id=f"{name}-{number}", change_id=number, kind="vote", **columns
        )


@pytest.fixture
def busy(alice: User, maintainer: User, reviewer: User, _nothing_is_drawn: None) -> list[Variant]:
    """Two variants with runs in every state, judgements under review, messages to deliver, two workers."""
    small, large = make_variant("lab/scales", "small"), make_variant("lab/scales", "large", queue="gpu")
    for variant, queued, succeeded, failed in ((small, 3, 5, 1), (large, 0, 2, 3)):
        for number in range(queued):
            conversation = make_conversation(uuid.uuid4())
            add_turn(conversation, variant, state=State.QUEUED, queued_at=ago(100 * (number + 1)))
        add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING)
        for number in range(succeeded):
            run = add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING, attempt=1)
            usage = {"prompt_tokens": 10 + number, "completion_tokens": 3 * number}
            timings = {"queue_s": 0.2 * number, "first_token_s": 40.0 * number}
            assert run.succeed(finish_reason="stop", usage=usage, timings=timings)
        for number in range(failed):
            run = add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING, attempt=1)
            assert run.fail("upstream" if number else "internal", "It broke.")
    for thumb in ("up", "down", "down"):
        judge(alice, thumb=thumb, comment=f"This answer is {thumb}.")
    give_verdict(reviewer, item_of(judge(alice, thumb="up")), "question")
    messages_to(maintainer, "on", 4, due_at=ago(50))
    messages_to(maintainer, "off", 2, disabled="failing", due_at=ago(5_000))
    messages_to(maintainer, "now", 1, state="sending", lease_expires_at=timezone.now())
    messages_to(maintainer, "done", 3, state="delivered", finished_at=timezone.now())
    heartbeat("living", age_s=2)
    heartbeat("silent", age_s=600, queues=["gpu"])
    return [small, large]


# --- What it says


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


# --- What it costs


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


# --- Who may read it


@pytest.mark.parametrize("who", ["alice", "reviewer", "maintainer"])
def test_people_whom_it_does_not_concern_find_nothing(request: pytest.FixtureRequest, who: str) -> None:
    browser = signed_in(request.getfixturevalue(who))
    for method in ("get", "head", "post", "put", "delete", "options"):
        answer = getattr(browser, method)("/metrics")
        assert answer.status_code == 404
        assert b"steelyard_" not in answer.content


@pytest.mark.parametrize("who", ["operator", "superuser"])
def test_an_operators_browser_may_read_it(request: pytest.FixtureRequest, who: str) -> None:
    browser = signed_in(request.getfixturevalue(who))
    answer = browser.get("/metrics")
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert told(parsed(answer.text), "part_up", part="database") == 1
    assert browser.post("/metrics").status_code == 405


def test_an_operator_who_may_not_sign_in_any_more_finds_nothing(operator: User) -> None:
    browser = signed_in(operator)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert browser.get("/metrics").status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {'x' * 100_000}",
        "Bearer \xff\xfe\x00",
        "Bearer ✓",
    ],
)
def test_without_the_token_there_is_nothing_at_the_address(db: None, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    stranger = Client(enforce_csrf_checks=True)
    for answer in (
        stranger.get("/metrics", headers=headers),
        stranger.post("/metrics", headers=headers),
        stranger.get("/metrics", {"token": TOKEN, "access_token": TOKEN}, headers=headers),
    ):
        assert answer.status_code == 404
        assert b"steelyard_" not in answer.content


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer", "bearer  ", ""])
def test_an_installation_without_a_token_has_no_right_one(db: None, settings: Settings, authorization: str) -> None:
    settings.METRICS_TOKEN = ""
    assert Client().get("/metrics", headers={"authorization": authorization}).status_code == 404


@pytest.mark.parametrize("address", ["/metrics/", "/metrics/x", "/Metrics", "/metrics%2f"])
def test_no_address_beside_it_answers(db: None, address: str) -> None:
    assert Client().get(address, headers=WITH_TOKEN).status_code == 404


def test_a_scraper_needs_no_host_https_or_session(db: None, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get("/metrics", headers={**WITH_TOKEN, "host": "10.0.0.7:8000"})
    assert answer.status_code == 200
    assert not answer.cookies
    assert not Session.objects.exists()
    assert Client().get("/metrics").status_code == 301


def test_a_scraper_only_reads(db: None) -> None:
    scraper = Client(headers=WITH_TOKEN)
    assert scraper.head("/metrics").status_code == 200
    answer = scraper.post("/metrics", {"a": "b"})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert Client(headers={"authorization": f"bearer  {TOKEN}"}).get("/metrics").status_code == 200


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2",
        "application/openmetrics-text;version=x",
        "text/plain;version=9999.x;escaping=\x01",
        ",;=,;",
    ],
)
def test_every_scraper_has_the_one_format(db: None, accept: str) -> None:
    answer = Client().get("/metrics", headers={**WITH_TOKEN, "accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert told(parsed(answer.text), "scrape_complete") == 1


def test_it_answers_under_asgi_too(async_client: AsyncClient, db: None) -> None:
    answer = async_to_sync(async_client.get)("/metrics", headers=WITH_TOKEN)
    assert told(parsed(answer.content.decode()), "scrape_complete") == 1
    assert async_to_sync(async_client.get)("/metrics").status_code == 404


# --- While something is away


def test_while_the_store_is_away_everything_else_is_told(busy: list[Variant], monkeypatch: pytest.MonkeyPatch) -> None:
    loading_teller(busy[0].pk)(0.5, "loading")
    monkeypatch.setattr(readiness, "ping", lambda url: False)
    monkeypatch.setattr(cache, "get_many", lambda keys: pytest.fail("a store that is away is not asked"))
    values = scraped()
    assert (told(values, "part_up", part="store"), told(values, "ready")) == (0, 0)
    assert (told(values, "scrape_complete"), told(values, "workers")) == (1, 1)
    assert "variant_loading_ratio" not in names_in(values)


def test_while_the_database_is_away_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    away = readiness.Part("database", ok=False, detail="")
    monkeypatch.setattr(readiness, "database", lambda patience_s: away)
    monkeypatch.setattr(metrics, "connection", SimpleNamespace(vendor="postgresql"))
    values = scraped()
    assert told(values, "part_up", part="database") == 0
    assert told(values, "part_up", part="store") == 1
    assert (told(values, "ready"), told(values, "scrape_complete")) == (0, 0)
    assert told(values, "home_size_bytes") > 0
    assert "generations" not in names_in(values)


@pytest.mark.sqlite
@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server's disk is its own to look at")
def test_a_file_whose_disk_is_full_is_read_all_the_same(busy: list[Variant], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_has_room_to_write", lambda: False)
    values = scraped()
    assert (told(values, "part_up", part="database"), told(values, "ready")) == (0, 0)
    small = {"variant": busy[0].model_id, "queue": busy[0].queue}
    assert (told(values, "scrape_complete"), told(values, "generations", **small, state="queued")) == (1, 3)


def test_a_file_without_tables_makes_no_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def go(**_given: bool) -> None:
        raise OperationalError("no such table: playground_generation")

    monkeypatch.setattr(readiness, "_has_room_to_write", lambda: False)
    monkeypatch.setattr(metrics, "take_census", go)
    assert told(scraped(), "scrape_complete") == 0


def test_a_database_that_goes_while_it_is_asked_makes_no_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def go(**_given: bool) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(metrics, "take_census", go)
    values = scraped()
    assert told(values, "scrape_complete") == 0
    assert "generations" not in names_in(values)


def test_a_schema_that_is_behind_is_not_asked(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "unapplied_migrations", lambda: 2)
    monkeypatch.setattr(metrics, "take_census", lambda **_given: pytest.fail("tables may be missing"))
    values = scraped()
    assert (told(values, "part_up", part="migrations"), told(values, "scrape_complete")) == (0, 0)


def test_a_home_that_is_gone_makes_no_error(db: None, settings: Settings, tmp_path: Path) -> None:
    settings.STEELYARD_HOME = tmp_path / "gone"
    values = scraped()
    assert "home_free_bytes" not in names_in(values)
    assert told(values, "scrape_complete") == 1


# Three times at most, since a busy machine may stop everything for a while.
ASK = """
import django, time
django.setup()
from django.test import Client
for _ in range(3):
    began = time.monotonic()
    answer = Client().get("/metrics", headers={"authorization": "Bearer " + TOKEN})
    took_s = time.monotonic() - began
    if took_s < 10:
        break
print(answer.status_code, took_s)
print(answer.text)
"""


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose server takes connections and says nothing, as one that stands still does."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(16)
        yield deaf.getsockname()[1]


@pytest.mark.processes
@pytest.mark.parametrize("server", ["away", "deaf"])
def test_a_scraper_hears_of_services_that_do_not_answer_before_it_gives_up(
    tmp_path: Path, deaf_port: int, server: str
) -> None:
    port = deaf_port if server == "deaf" else free_port()
    environment = environment_of(
        tmp_path,
        DATABASE_URL=f"postgresql://me:secret@127.0.0.1:{port}/steelyard",
        REDIS_URL=f"redis://127.0.0.1:{port}/0",
        CELERY_BROKER_URL=f"amqp://me:secret@127.0.0.1:{port}//",
        METRICS_TOKEN=TOKEN,
        DJANGO_SETTINGS_MODULE="portal.settings",
        PYTHONPATH=str(ROOT),
    )
    asked = subprocess.run(
        [sys.executable, "-c", f"TOKEN = {TOKEN!r}\n{ASK}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    first, _newline, text = asked.stdout.partition("\n")
    status, took_s = first.split()
    assert status == "200"
    assert float(took_s) < 10
    values = parsed(text)
    assert {part: told(values, "part_up", part=part) for part in ("database", "store", "broker", "worker")} == {
        "database": 0, "store": 0, "broker": 0, "worker": 0
    }  # fmt: skip
    assert told(values, "scrape_complete") == 0
    assert "secret" not in text
