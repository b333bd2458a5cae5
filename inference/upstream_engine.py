"""The engine whose tokens come from an OpenAI-compatible server: one thread, one event loop, a task per request."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx2

from inference.engine import EngineClosed, GenerationRequest, Listener
from inference.engine_thread import Submission
from inference.events import TERMINAL_EVENTS, Emission, Event, FinishReason, Released
from inference.upstream_client import UpstreamClient, UpstreamPatience
from inference.upstream_request import UNKNOWN, Dialect
from inference.upstream_run import Upstream, UpstreamRun, failure

logger = logging.getLogger(__name__)

GATHER_S: Final = 0.01
"""The listener writes to a store, so what arrives within this time reaches it as one step."""


@dataclass(slots=True)
class _Accepted:
    """`ending` says why the task was cancelled; None is the engine's closing."""

    run: UpstreamRun
    task: asyncio.Task[FinishReason]
    ending: FinishReason | None = None


class UpstreamEngine:
    """Implements `Engine` over an upstream's chat completions.

    What the server says is passed on for what it is: token ids are -1 where it tells none, counts are marked where
    they were counted here, and an answer that breaks off is a failure. Timings are as seen from here: an upstream's
    own queue is part of `prefill_s`.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        base_url: str,
        model: str,
        dialect: Dialect = UNKNOWN,
        key: str | None = None,
        patience: UpstreamPatience | None = None,
        public_but: Collection[str] | None = None,
    ) -> None:
        self._listener = listener
        patience = patience or UpstreamPatience()
        self._upstream = Upstream(UpstreamClient(base_url, key, patience, public_but), model, dialect, patience)
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._is_closing = False
        # The rest belongs to the loop's thread.
        self._accepted: dict[str, _Accepted] = {}
        self._outbox: list[Emission] = []
        self._flush_due = False
        self._flushed_at = 0.0
        self._close_at: float | None = None
        self._ended = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="upstream-engine", daemon=True)
        self._thread.start()

    # --- From any thread

    def submit(self, request: GenerationRequest) -> None:
        """Take a request. Raises EngineClosed, or ValueError when `request_id` is already running."""
        now = time.monotonic()
        submission = Submission(request, now, None if request.deadline_s is None else now + request.deadline_s)
        with self._lock:
            if self._is_closing:
                raise EngineClosed("The engine is closing and takes no more requests.")
            if request.request_id in self._names:
                raise ValueError(f"request_id: {request.request_id!r} is already running")
            self._names.add(request.request_id)
            self._loop.call_soon_threadsafe(self._begin, submission)

    def cancel(self, request_id: str) -> None:
        """Hang up on the upstream and end the request. Unknown ids are ignored."""
        with self._lock:
            if request_id in self._names:
                self._call(self._cancel, request_id)

    def close(self, grace_s: float) -> None:
        """Refuse new requests, let running ones end for `grace_s` seconds, release the others, stop the thread.

        A later call may shorten the grace and never lengthens it. From inside the listener it returns at once.
        """
        with self._lock:
            self._is_closing = True
            self._call(self._close_in, grace_s)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def provenance(self) -> dict[str, object]:
        """What is known of how the upstream made its answers."""
        return {
            "engine": "upstream",
            "server": self._upstream.dialect.name,
            "model": self._upstream.model,
            "not_taken": sorted(self._upstream.without),
            "httpx2": httpx2.__version__,
        }

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed: nothing is left to do
            self._loop.call_soon_threadsafe(function, *arguments)

    # --- On the loop

    def _run_loop(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        except BaseException:
            logger.critical("The upstream engine's thread ends on an error in its own bookkeeping.", exc_info=True)
            raise
        finally:
            with self._lock:
                self._is_closing = True
                left, self._names = sorted(self._names), set()
            self._tell([Emission(request_id, Released()) for request_id in left])

    async def _live(self) -> None:
        try:
            await self._ended.wait()
        finally:
            await self._upstream.client.close()

    def _begin(self, submission: Submission) -> None:
        request_id = submission.request_id
        run = UpstreamRun(submission, self._upstream, partial(self._emit, request_id), self._end_or_wait)
        task = self._loop.create_task(run.see_through())
        self._accepted[request_id] = _Accepted(run, task)
        # In a callback, since a task that is cancelled before its first step never runs any line of its own.
        task.add_done_callback(lambda _task: self._emit(request_id, _ending(self._accepted[request_id])))

    def _cancel(self, request_id: str) -> None:
        if (accepted := self._accepted.get(request_id)) is not None:
            accepted.ending = FinishReason.CANCELLED
            accepted.task.cancel()

    def _close_in(self, grace_s: float) -> None:
        close_at = self._loop.time() + grace_s
        if self._close_at is None or close_at < self._close_at:
            self._close_at = close_at
            self._loop.call_at(close_at, self._release)
        self._end_or_wait()

    def _release(self) -> None:
        for accepted in self._accepted.values():
            accepted.task.cancel()

    def _end_or_wait(self) -> None:
        """While closing: another attempt may go to another engine at once; the last run's end is the loop's."""
        if self._close_at is None:
            return
        for accepted in self._accepted.values():
            if accepted.run.is_pausing:
                accepted.task.cancel()
        with self._lock:
            if not self._names:
                self._ended.set()

    # --- To the listener

    def _emit(self, request_id: str, events: Sequence[Event]) -> None:
        self._outbox += [Emission(request_id, event) for event in events]
        if self._outbox and not self._flush_due:
            self._flush_due = True
            self._loop.call_at(max(self._loop.time(), self._flushed_at + GATHER_S), self._flush)

    def _flush(self) -> None:
        emissions, self._outbox = self._outbox, []
        self._flush_due = False
        self._tell(emissions)
        self._flushed_at = self._loop.time()
        ended = {each.request_id for each in emissions if isinstance(each.event, TERMINAL_EVENTS)}
        for request_id in ended:
            del self._accepted[request_id]
        with self._lock:
            self._names -= ended
        self._end_or_wait()

    def _tell(self, emissions: Sequence[Emission]) -> None:
        if not emissions:
            return
        try:
            self._listener(emissions)
        except Exception:
            logger.exception("The engine's listener failed; the events of this step are lost.")


def _ending(accepted: _Accepted) -> Sequence[Event]:
    task = accepted.task
    if task.cancelled():
        return [Released()] if accepted.ending is None else accepted.run.ended(accepted.ending)
    error = task.exception()
    return accepted.run.ended(task.result()) if error is None else [*accepted.run.held_back(), failure(error)]
