"""`/metrics`: the installation in Prometheus' text format, as the rows and heartbeats have it when it is asked.

Nothing is counted in this process: there are several, each would know its own part, and all answer the same here. The
words of `# HELP` are for machines and those who run them, as the names are, and are not translated.
"""

from __future__ import annotations

import logging
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from portal import __version__
from portal.operations.census import Census, Messages, Times, VariantRow, Worker, take_census
from portal.operations.readiness import Part, readiness
from portal.playground.models.tally import EDGES_S

# The one format that every scraper takes. The library's choice by Accept fails at a version that is no number.
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
# Scrapers wait for ten seconds by default, and the store and the broker may take some as well.
_PATIENCE_S: Final = 2
_BOUNDS: Final = (*map(str, EDGES_S), "+Inf")

logger = logging.getLogger(__name__)

# Label values and the value.
Sample = tuple[Sequence[str], float]


@dataclass(frozen=True, slots=True)
class _Collected:
    """What the library's writer asks for its metrics."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def metrics_text() -> bytes:
    """Everything that can be told now. What is away is told as such, and what only it knows is left out."""
    parts = readiness(_PATIENCE_S)
    census = _census(parts)
    families = [*_of_parts(parts, is_complete=census is not None), *_of_home()]
    if census is not None:
        families += [
            *_of_runs(census.variants),
            *_of_ended_runs(census.variants),
            *_of_workers(census.workers, census.variants),
            *_of_reviews(census),
            *_of_messages(census.messages),
        ]
    return generate_latest(_Collected(families))


def _census(parts: Sequence[Part]) -> Census | None:
    works = {part.name: part.ok for part in parts}
    # Where the database is not in order, its schema was not looked at. A file answers at once even so, as when its disk
    # is full; of a server that does not, the pool would wait for a connection.
    if not works.get("migrations", connection.vendor == "sqlite"):
        return None
    try:
        return take_census(ask_store=works["store"])
    except (DatabaseError, InterfaceError):
        logger.exception("Metrics are told without what the database knows")
        return None


def _of_parts(parts: Sequence[Part], *, is_complete: bool) -> Iterator[Metric]:
    labels = ("version", "python", "database")
    yield _gauge(
        "build_info", "What runs: 1.", labels, [((__version__, platform.python_version(), connection.vendor), 1)]
    )
    is_ready = all(part.ok for part in parts)
    yield _gauge("ready", "Whether a prompt would be answered now, as /readyz says.", (), [((), is_ready)])
    states = [((part.name,), part.ok) for part in parts]
    yield _gauge("part_up", "Whether this part of the installation works, as /readyz says.", ("part",), states)
    told = "Whether the database told everything: 0 means that the metrics of what it knows are missing here."
    yield _gauge("scrape_complete", told, (), [((), is_complete)])


def _of_home() -> Iterator[Metric]:
    try:
        disk = shutil.disk_usage(settings.STEELYARD_HOME)
    except OSError as error:
        logger.warning("The disk of STEELYARD_HOME does not tell how much is free: %s", error)
        return
    yield _gauge("home_free_bytes", "Free on the disk of STEELYARD_HOME.", (), [((), disk.free)])
    yield _gauge("home_size_bytes", "The size of the disk of STEELYARD_HOME.", (), [((), disk.total)])


def _of_runs(variants: Sequence[VariantRow]) -> Iterator[Metric]:
    shown = [row for row in variants if row.is_runnable or row.queued or row.running]
    counts: list[Sample] = []
    for row in shown:
        counts += [((*_names(row), "queued"), row.queued), ((*_names(row), "running"), row.running)]
    yield _gauge("generations", "Runs that wait or are under way.", ("variant", "queue", "state"), counts)
    ages = [(_names(row), row.oldest_queued_s) for row in shown]
    told = "For how long the oldest waiting run has waited; 0 where none waits."
    yield _gauge("generation_oldest_queued_seconds", told, ("variant", "queue"), ages)


def _of_ended_runs(variants: Sequence[VariantRow]) -> Iterator[Metric]:
    # A run of a variant that can no longer be run stays counted.
    shown = [(row.model_id, row.ended) for row in variants if row.is_runnable or any(row.ended.by_state.values())]
    states: list[Sample] = []
    errors: list[Sample] = []
    tokens: list[Sample] = []
    for name, ended in shown:
        states += [((name, state), count) for state, count in ended.by_state.items()]
        errors += [((name, code), count) for code, count in ended.by_error.items()]
        tokens += [((name, "prompt"), ended.prompt_tokens), ((name, "completion"), ended.completion_tokens)]
    yield _counter("generations_finished_total", "Runs that ended, by how.", ("variant", "state"), states)
    yield _counter("generations_failed_total", "Runs that failed, by why.", ("variant", "code"), errors)
    yield _counter("generation_tokens_total", "Tokens that ended runs read and wrote.", ("variant", "kind"), tokens)
    told = "From being asked for to a worker's claim, of runs that a worker ended."
    yield _histogram("generation_queue_seconds", told, [(name, ended.queue) for name, ended in shown])
    told = "From being asked for to the first token, of runs that a worker ended."
    yield _histogram("generation_first_token_seconds", told, [(name, ended.first_token) for name, ended in shown])


def _of_workers(workers: Sequence[Worker], variants: Sequence[VariantRow]) -> Iterator[Metric]:
    living = [worker for worker in workers if worker.is_alive]
    yield _gauge("workers", "Workers that were heard of in the last 15 seconds.", (), [((), len(living))])
    slots = [((worker.worker_id,), worker.slots) for worker in living]
    yield _gauge("worker_slots", "Runs that a living worker can hold at once.", ("worker",), slots)
    infos = [((each.worker_id, each.hostname, ",".join(sorted(each.queues))), 1) for each in living]
    yield _gauge(
        "worker_info", "A living worker and the queues that it serves: 1.", ("worker", "host", "queues"), infos
    )
    ages = [((worker.worker_id,), worker.silent_s) for worker in workers]
    told = "Since a worker was heard of last, for an hour behind one that ended without a word."
    yield _gauge("worker_heartbeat_age_seconds", told, ("worker",), ages)
    runnable = [row for row in variants if row.is_runnable]
    serving = [(_names(row), row.workers) for row in runnable]
    yield _gauge("variant_workers", "Living workers that serve the variant's queue.", ("variant", "queue"), serving)
    shares = [((row.model_id,), row.loading_percent / 100) for row in variants if row.loading_percent is not None]
    told = "How much of the variant's weights a worker has loaded; only while one loads them."
    yield _gauge("variant_loading_ratio", told, ("variant",), shares)


def _of_reviews(census: Census) -> Iterator[Metric]:
    counts = [((state,), backlog.count) for state, backlog in census.reviews.items()]
    yield _gauge("review_items", "Submissions and votes under review that are not decided.", ("state",), counts)
    ages = [((state,), backlog.oldest_s) for state, backlog in census.reviews.items()]
    told = "Since the oldest undecided one of this state entered the queue; 0 where there is none."
    yield _gauge("review_oldest_item_seconds", told, ("state",), ages)


def _of_messages(messages: Messages) -> Iterator[Metric]:
    counts = [(("waiting",), messages.waiting), (("sending",), messages.sending), (("held",), messages.held)]
    told = "Webhook messages that are not delivered; held are those of an endpoint that is switched off."
    yield _gauge("webhook_deliveries", told, ("state",), counts)
    told = "For how long the first waiting webhook message has been due; 0 where none is."
    yield _gauge("webhook_overdue_seconds", told, (), [((), messages.overdue_s)])


def _names(row: VariantRow) -> tuple[str, str]:
    return row.model_id, row.queue


def _gauge(name: str, told: str, labels: Sequence[str], samples: Iterable[Sample]) -> Metric:
    return _filled(GaugeMetricFamily(f"steelyard_{name}", told, labels=labels), samples)


def _counter(name: str, told: str, labels: Sequence[str], samples: Iterable[Sample]) -> Metric:
    return _filled(CounterMetricFamily(f"steelyard_{name}", told, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Iterable[Sample]) -> Metric:
    for values, value in samples:
        family.add_metric(values, float(value))
    return family


def _histogram(name: str, told: str, samples: Iterable[tuple[str, Times]]) -> Metric:
    family = HistogramMetricFamily(f"steelyard_{name}", told, labels=("variant",))
    for model_id, times in samples:
        buckets = list(zip(_BOUNDS, map(float, accumulate(times.classes)), strict=True))
        family.add_metric((model_id,), buckets, times.sum_ms / 1000)
    return family
