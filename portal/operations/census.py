"""What the database knows of the installation at this moment, in a fixed number of queries that walk short indexes.

The rows are the truth for all processes together. No query here reads the runs or judgements that are over: of those
there may be millions, and `playground.models.RunTally` has added them up.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Min, Q, Sum
from django.utils import timezone

from portal.catalog.models import Variant
from portal.operations.readiness import HEARTBEAT_WITHIN
from portal.playground.loading import loading_percents
from portal.playground.models import FINAL_STATES, Generation, RunTally, State, WorkerHeartbeat
from portal.playground.models.tally import EDGES_S, KEY, SUMS
from portal.reviews.models import ReviewItem
from portal.reviews.settling import OPEN_STATES
from portal.webhooks.models import Delivery, DeliveryState

# One that was killed is shown for so long, with a pulse that gets older: of a worker that dies and comes back in a loop
# each life is another one, so there is a most.
SILENT_WITHIN: Final = timedelta(hours=1)
MOST_WORKERS: Final = 200


@dataclass(slots=True)
class Times:
    """Durations by class (EDGES_S, and one beyond), and their sum."""

    classes: list[int] = field(default_factory=lambda: [0] * (len(EDGES_S) + 1))
    sum_ms: int = 0

    def add(self, time_class: int, runs: int, milliseconds: int) -> None:
        """A class below zero is that of runs without this duration."""
        if time_class >= 0:
            self.classes[time_class] += runs
            self.sum_ms += milliseconds


@dataclass(slots=True)
class Ended:
    """A variant's runs that are over, since tallies are kept."""

    by_state: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, FINAL_STATES), 0))
    by_error: dict[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    queue: Times = field(default_factory=Times)
    first_token: Times = field(default_factory=Times)


@dataclass(slots=True)
class VariantRow:
    """A variant and its runs. `loading_percent` is None while nobody loads its weights."""

    model_id: str
    queue: str
    is_runnable: bool
    queued: int = 0
    running: int = 0
    oldest_queued_s: float = 0.0
    workers: int = 0
    loading_percent: int | None = None
    ended: Ended = field(default_factory=Ended)


@dataclass(frozen=True, slots=True)
class Worker:
    worker_id: str
    hostname: str
    queues: tuple[str, ...]
    slots: int
    silent_s: float

    @property
    def is_alive(self) -> bool:
        return self.silent_s <= HEARTBEAT_WITHIN.total_seconds()


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many wait, and for how many seconds the oldest has; 0 when none does."""

    count: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Messages:
    """Webhooks' messages: those that wait for an endpoint that is on, are being sent, wait for one that is off."""

    waiting: int
    sending: int
    held: int
    # Seconds that the first of those that wait is overdue.
    overdue_s: float


@dataclass(frozen=True, slots=True)
class Census:
    variants: list[VariantRow]
    workers: list[Worker]
    reviews: dict[str, Backlog]
    messages: Messages


def take_census(*, ask_store: bool) -> Census:
    """Everything, as of now. `ask_store`: whether the store can be asked what is being loaded. Raises DatabaseError."""
    now = timezone.now()
    workers = _workers(now)
    return Census(_variants(now, workers, ask_store=ask_store), workers, _reviews(now), _messages(now))


def _variants(now: datetime, workers: Collection[Worker], *, ask_store: bool) -> list[VariantRow]:
    columns = ("pk", "card__owner_name", "card__slug", "slug", "queue", "is_runnable")
    rows = {
        pk: VariantRow(f"{owner}/{card}:{slug}", queue, is_runnable)
        for pk, owner, card, slug, queue, is_runnable in Variant.objects.order_by("pk").values_list(*columns)
    }
    # State by state: each has an index of its own, which one question for both would not use.
    queued = Generation.objects.filter(state=State.QUEUED).order_by().values_list("variant")
    for pk, count, oldest in queued.annotate(count=Count("*"), oldest=Min("queued_at")):
        if row := rows.get(pk):
            row.queued, row.oldest_queued_s = count, _age_s(now, oldest)
    # One by one, as many as workers hold: to group them, SQLite would walk all runs there ever were by their variant.
    running = Generation.objects.filter(state=State.RUNNING, lease_expires_at__isnull=False).order_by()
    for pk in running.values_list("variant", flat=True):
        if row := rows.get(pk):
            row.running += 1
    for row in rows.values():
        row.workers = sum(row.queue in worker.queues for worker in workers if worker.is_alive)
    if ask_store:
        for pk, percent in loading_percents(rows.keys()).items():
            rows[pk].loading_percent = percent
    _add_ended(rows)
    return list(rows.values())


def _add_ended(rows: dict[int, VariantRow]) -> None:
    totals = RunTally.objects.order_by().values_list(*KEY).annotate(*map(Sum, SUMS))
    for pk, state, error_code, queue_class, first_token_class, runs, prompt, completion, queue_ms, first_ms in totals:
        if row := rows.get(pk):
            ended = row.ended
            ended.by_state[state] = ended.by_state.get(state, 0) + runs
            if error_code:
                ended.by_error[error_code] = ended.by_error.get(error_code, 0) + runs
            ended.prompt_tokens += prompt
            ended.completion_tokens += completion
            ended.queue.add(queue_class, runs, queue_ms)
            ended.first_token.add(first_token_class, runs, first_ms)


def _workers(now: datetime) -> list[Worker]:
    heard = WorkerHeartbeat.objects.filter(seen_at__gte=now - SILENT_WITHIN).order_by("-seen_at")[:MOST_WORKERS]
    return [
        Worker(row.worker_id, row.hostname, tuple(map(str, row.queues)), row.capacity, _age_s(now, row.seen_at))
        for row in heard
    ]


def _reviews(now: datetime) -> dict[str, Backlog]:
    by_state = ReviewItem.objects.filter(state__in=OPEN_STATES).order_by().values_list("state")
    rows = by_state.annotate(count=Count("*"), oldest=Min("entered_at"))
    found = {state: Backlog(count, _age_s(now, oldest)) for state, count, oldest in rows}
    return {str(state): found.get(state, Backlog()) for state in OPEN_STATES}


def _messages(now: datetime) -> Messages:
    is_wanted = Q(endpoint__disabled="")
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING).aggregate(
        waiting=Count("pk", filter=is_wanted), held=Count("pk", filter=~is_wanted), due=Min("due_at", filter=is_wanted)
    )
    sending = Delivery.objects.filter(state=DeliveryState.SENDING).count()
    return Messages(waiting["waiting"], sending, waiting["held"], _age_s(now, waiting["due"]))


def _age_s(now: datetime, moment: datetime | None) -> float:
    # Another machine's clock may be ahead of this one's.
    return max(0.0, (now - moment).total_seconds()) if moment is not None else 0.0
