"""Follow one generation: its events from the stream while there is one, from the row when there is not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from portal.accounts.idle_connections import give_connection_back
from portal.playground import stream
from portal.playground.fanout import Entry, Subscription, stream_fanout
from portal.playground.loading import loading_percent
from portal.playground.models import Generation, State, TokenTrace
from portal.playground.queue_position import queue_position
from portal.playground.stream import BEGINNING, TERMINAL_TYPES, EventType, StreamEvent, StreamId

# How long a silent stream is waited for before the row is asked.
ROW_INTERVAL_S: Final = 1.0
# The stream's last events are written just after the row.
LAST_LOOK_S: Final = 0.25
# How long a viewer's connection may stay silent.
KEEP_ALIVE_S: Final = 15.0

# A viewer's row lives as long as the stream: what is large and not shown there stays in the database.
NOT_FOLLOWED: Final = ("messages", "params", "rendered_prompt", "provenance")

# Events with their places in the stream, if they stand in it.
News = list[tuple[StreamId | None, StreamEvent]]
P = ParamSpec("P")
R = TypeVar("R")


async def follow(
    generation: Generation, after: StreamId = BEGINNING, *, with_position: bool = True
) -> AsyncGenerator[News, None]:
    """A generation's events behind `after`, each with its id, up to and including the terminal one.

    What came together is told together, so that it can be sent as one. No events are a moment without news, in which
    the caller can keep its connection alive. Events that stand in no stream (queued, reset, and all that come from the
    row) have no id. `with_position` False leaves out queued events and saves their queries.
    """
    fanout = stream_fanout()
    subscription = fanout.subscribe(generation.pk, after)
    try:
        async for news in _follow_subscription(generation, subscription, _Shown(after), with_position=with_position):
            yield news
    finally:
        fanout.unsubscribe(generation.pk, subscription)


async def _follow_subscription(
    generation: Generation, subscription: Subscription, shown: _Shown, *, with_position: bool
) -> AsyncIterator[News]:
    row = generation
    row_was_final = False
    position = await run_query(_queued_event, row) if with_position and row.state == State.QUEUED else None
    if position is not None:
        yield [(None, position)]
    while True:
        arrived = await subscription.next(LAST_LOOK_S if row_was_final else ROW_INTERVAL_S)
        if arrived:
            news = shown.taken(arrived)
            yield news
            if news[-1][1].type in TERMINAL_TYPES:
                return
            # While the stream speaks, there is nothing to ask the row.
            row_was_final = False
            continue
        if row_was_final:
            yield [(None, event) for event in shown.completed_from(row, await run_query(_tokens_of, row))]
            return
        row = await run_query(_reload, row)
        row_was_final = not row.is_active
        queued = await run_query(_queued_event, row) if with_position and row.state == State.QUEUED else None
        yield [(None, queued)] if queued is not None and queued != position else []
        position = queued


def _reload(generation: Generation) -> Generation:
    return Generation.objects.select_related("variant__card").defer(*NOT_FOLLOWED).get(pk=generation.pk)


def _tokens_of(generation: Generation) -> list[dict[str, Any]]:
    tokens: list[dict[str, Any]] | None = (
        TokenTrace.objects.filter(generation=generation).values_list("tokens", flat=True).first()
    )
    return tokens or []


def _queued_event(generation: Generation) -> StreamEvent:
    place = queue_position(generation)
    return stream.queued(place.position, place.eta_s, loading_percent(generation.variant.runs_on_id))


@dataclass(slots=True)
class _Shown:
    """What this viewer has on the screen, as far as this connection knows."""

    resumed_after: StreamId
    attempt: int = field(init=False)
    text: dict[str, str] = field(init=False)
    token_count: int = field(init=False)

    def __post_init__(self) -> None:
        self.attempt = self.resumed_after.attempt
        self._forget()

    def _forget(self) -> None:
        self.text = {"answer": "", "thinking": ""}
        self.token_count = 0

    def begins_anew(self, entry_id: StreamId) -> bool:
        return 0 < self.attempt < entry_id.attempt

    def taken(self, arrived: Iterable[Entry]) -> News:
        """What is to be told of these: a reset before an attempt that begins anew, and nothing behind the end."""
        news: News = []
        for entry_id, event in arrived:
            if self.begins_anew(entry_id):
                news.append((None, stream.reset(entry_id.attempt)))
            self.take(entry_id, event)
            news.append((entry_id, event))
            if event.type in TERMINAL_TYPES:
                break
        return news

    def take(self, entry_id: StreamId, event: StreamEvent) -> None:
        if entry_id.attempt > self.attempt:
            self.attempt = entry_id.attempt
            self.resumed_after = BEGINNING
            self._forget()
        if event.type == EventType.DELTA:
            self.text[event.data["channel"]] += event.data["text"]
            self.token_count += len(event.data["tokens"])

    def completed_from(self, row: Generation, trace: Sequence[dict[str, Any]]) -> list[StreamEvent]:
        """The events that turn what is shown into what the row and its tokens say, and end the stream."""
        whole = {"thinking": row.thinking, "answer": row.output}
        is_known = self.resumed_after == BEGINNING
        events: list[StreamEvent] = []
        if not is_known or not all(whole[channel].startswith(self.text[channel]) for channel in whole):
            events.append(stream.reset(row.attempt))
            self._forget()
        left = trace[self.token_count :]
        for channel, text in whole.items():
            if rest := text[len(self.text[channel]) :]:
                tokens = [token for token in left if token["channel"] == channel]
                events.append(StreamEvent(EventType.DELTA, {"text": rest, "channel": channel, "tokens": tokens}))
        if row.state == State.FAILED:
            events.append(stream.failed(row.error_code, row.error_message))
        else:
            events.append(stream.finished(row.finish_reason, row.usage, row.timings))
        return events


async def run_query(query: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a query and give its connection back."""

    def run() -> R:
        try:
            return query(*args, **kwargs)
        finally:
            give_connection_back()

    return await sync_to_async(run)()
