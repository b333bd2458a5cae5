"""The thread under an engine: requests come in from any thread, a `Runner` makes steps, events go to the listener."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from inference.engine import EngineClosed, GenerationRequest, Listener
from inference.events import (
    TERMINAL_EVENTS,
    Emission,
    Failed,
    FailureCode,
    FinishReason,
    Released,
)

logger = logging.getLogger(__name__)

INTERNAL_MESSAGE = "The engine met an unexpected error and ended this run. Please try again."


@dataclass(frozen=True, slots=True)
class Submission:
    """A request with the moments that count for it, in `time.monotonic()` seconds."""

    request: GenerationRequest
    submitted_at: float
    deadline_at: float | None

    @property
    def request_id(self) -> str:
        return self.request.request_id


class Runner(Protocol):
    """What happens between two looks at the inbox. All methods are called from the engine's thread alone."""

    def begin(self) -> None:
        """The thread starts: set up what belongs to a thread."""

    def admit(self, submission: Submission) -> Sequence[Emission]:
        """Take a request; a terminal event in the answer refuses it."""

    def step(self) -> Sequence[Emission]:
        """Advance the running requests once."""

    def finish(self, request_id: str, reason: FinishReason) -> Sequence[Emission]:
        """End a request now: withheld text, then Finished."""

    def drop(self, request_id: str) -> None:
        """Forget a request and free what it holds; whoever calls has said how it ended."""

    def waiting(self) -> Iterable[str]:
        """The requests that have no slot yet."""

    def rest(self) -> None:
        """There is nothing to do for now: let go of what others could use meanwhile."""

    def release_memory(self) -> None:
        """The thread ends: let go of weights and caches."""


class EngineThread:
    """Implements `Engine` around a runner.

    Every accepted request ends with exactly one terminal event: an exception out of the runner ends the requests
    that are inside with Failed(internal) and the thread goes on; one out of the listener is logged and costs the
    events of that step, never the thread.
    """

    def __init__(self, listener: Listener, runner: Runner, *, provenance: Callable[[], dict[str, object]]) -> None:
        self._listener = listener
        self._runner = runner
        self._provenance = provenance
        self._wake = threading.Condition()
        self._inbox: list[Submission] = []
        self._cancelled: set[str] = set()
        self._unwanted: set[str] = set()
        self._accepted: dict[str, Submission] = {}
        self._close_at: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="inference-engine", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest) -> None:
        """Take a request. Raises EngineClosed, or ValueError when `request_id` is already running."""
        now = time.monotonic()
        deadline_at = None if request.deadline_s is None else now + request.deadline_s
        submission = Submission(request, now, deadline_at)
        with self._wake:
            if self._closed or self._close_at is not None:
                raise EngineClosed("The engine is closing and takes no more requests.")
            if request.request_id in self._accepted:
                raise ValueError(f"request_id: {request.request_id!r} is already running")
            self._accepted[request.request_id] = submission
            self._inbox.append(submission)
            self._wake.notify_all()

    def cancel(self, request_id: str) -> None:
        """End a request after the current step, as Finished(cancelled). Unknown ids are ignored."""
        with self._wake:
            if request_id in self._accepted:
                self._cancelled.add(request_id)
                self._wake.notify_all()

    def close(self, grace_s: float) -> None:
        """Refuse new requests, let those with a slot end for `grace_s` seconds, release the others, stop the thread.

        A later call may shorten the grace and never lengthens it. From inside the listener it returns at once.
        """
        close_at = time.monotonic() + grace_s
        with self._wake:
            self._close_at = close_at if self._close_at is None else min(self._close_at, close_at)
            self._wake.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def end_adapter(self, adapter: str, grace_s: float) -> None:
        """Let the requests of an adapter end for `grace_s` seconds, release the others and wait until they are out.

        Not for the listener, in whose time nothing ends.
        """

        def left() -> set[str]:
            return {each.request_id for each in self._accepted.values() if each.request.adapter == adapter}

        with self._wake:
            if not self._wake.wait_for(lambda: not left(), timeout=grace_s):
                self._unwanted |= left()
                self._wake.notify_all()
                self._wake.wait_for(lambda: not left())

    def provenance(self) -> dict[str, object]:
        """What is needed to repeat a run."""
        return self._provenance()

    @property
    def is_alive(self) -> bool:
        """Whether the engine's thread runs; false only after `close`."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._runner.begin()
            while self._turn():
                pass
        except BaseException:
            logger.critical("The engine's thread ends on an error in its own bookkeeping.", exc_info=True)
            raise
        finally:
            with self._wake:
                self._closed = True
                left, self._accepted = list(self._accepted), {}
                self._wake.notify_all()
            self._emit([Emission(request_id, Released()) for request_id in left])
            self._runner.release_memory()

    def _turn(self) -> bool:
        """One look at the inbox and one step; false when the engine has closed."""
        self._rest_if_idle()
        with self._wake:
            while self._is_idle():
                self._wake.wait()
            inbox, self._inbox = self._inbox, []
            cancelled, self._cancelled = self._cancelled, set()
            unwanted, self._unwanted = self._unwanted, set()
            close_at = self._close_at
        emissions: list[Emission] = []
        try:
            for submission in inbox:
                emissions += self._admit(submission)
            emissions += self._end_early(cancelled, _ended(emissions))
            emissions += self._let_go(unwanted - _ended(emissions))
            ended = _ended(emissions)
            if len(ended) < len(self._accepted):
                emissions += self._runner.step()
        except Exception:
            logger.exception("The engine's step failed; its requests end here.")
            emissions += self._fail_all(_ended(emissions))
        if close_at is not None:
            emissions += self._release(_ended(emissions), everything=time.monotonic() >= close_at)
        self._emit(emissions)
        with self._wake:
            for request_id in _ended(emissions):
                self._accepted.pop(request_id, None)
                self._cancelled.discard(request_id)
                self._unwanted.discard(request_id)
            self._wake.notify_all()
            return bool(self._accepted) or self._close_at is None

    def _rest_if_idle(self) -> None:
        with self._wake:
            is_idle = self._is_idle()
        if is_idle:
            # Outside the lock: nobody who brings a request waits for that.
            try:
                self._runner.rest()
            except Exception:
                logger.exception("The engine could not let go of what it does not need; it goes on.")

    def _is_idle(self) -> bool:
        return not (self._inbox or self._accepted or self._close_at is not None)

    def _admit(self, submission: Submission) -> Sequence[Emission]:
        try:
            return self._runner.admit(submission)
        except Exception:
            logger.exception("A request could not be admitted; it ends here.")
            self._runner.drop(submission.request_id)
            return [Emission(submission.request_id, Failed(FailureCode.INTERNAL, INTERNAL_MESSAGE))]

    def _end_early(self, cancelled: set[str], ended: set[str]) -> list[Emission]:
        now = time.monotonic()
        emissions: list[Emission] = []
        with self._wake:
            arrived_later = {submission.request_id for submission in self._inbox}
            accepted = [each for each in self._accepted.values() if each.request_id not in arrived_later]
        for submission in accepted:
            if submission.request_id in ended:
                continue
            if submission.request_id in cancelled:
                emissions += self._runner.finish(submission.request_id, FinishReason.CANCELLED)
            elif submission.deadline_at is not None and now >= submission.deadline_at:
                emissions += self._runner.finish(submission.request_id, FinishReason.DEADLINE)
        return emissions

    def _fail_all(self, ended: set[str]) -> list[Emission]:
        emissions = []
        for request_id in self._inside(ended):
            self._runner.drop(request_id)
            emissions.append(Emission(request_id, Failed(FailureCode.INTERNAL, INTERNAL_MESSAGE)))
        return emissions

    def _release(self, ended: set[str], *, everything: bool) -> list[Emission]:
        waiting = set(self._runner.waiting())
        inside = self._inside(ended)
        return self._let_go({each for each in inside if everything or each in waiting})

    def _let_go(self, request_ids: set[str]) -> list[Emission]:
        for request_id in request_ids:
            self._runner.drop(request_id)
        return [Emission(request_id, Released()) for request_id in sorted(request_ids)]

    def _inside(self, ended: set[str]) -> list[str]:
        """The accepted requests that the runner knows and that have not ended in this turn."""
        with self._wake:
            arrived_later = {submission.request_id for submission in self._inbox}
            return [each for each in self._accepted if each not in ended and each not in arrived_later]

    def _emit(self, emissions: list[Emission]) -> None:
        if not emissions:
            return
        try:
            self._listener(emissions)
        except Exception:
            logger.exception("The engine's listener failed; the events of this step are lost.")


def _ended(emissions: Iterable[Emission]) -> set[str]:
    return {each.request_id for each in emissions if isinstance(each.event, TERMINAL_EVENTS)}
