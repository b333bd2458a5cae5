"""One request at an upstream: asked until an answer begins, followed to its end, events given out as they come."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from inference.engine import GenerationRequest
from inference.engine_thread import INTERNAL_MESSAGE, Submission
from inference.events import Event, Failed, FailureCode, Finished, FinishReason, Started, Timings, Usage
from inference.sampling_params import MAX_NEW_TOKENS, SamplingParams
from inference.upstream_answer import UpstreamAnswer, UpstreamFailure
from inference.upstream_chunks import read_chunk
from inference.upstream_client import UpstreamAway, UpstreamClient, UpstreamPatience, WishRefused
from inference.upstream_request import Dialect, UnsupportedByUpstream, request_body
from inference.upstream_sse import ServerEvent, StreamMalformed

logger = logging.getLogger(__name__)

DONE: Final = "[DONE]"


@dataclass(slots=True)
class Upstream:
    """A server and what has been learned of it: `without` are the wishes that it has refused."""

    client: UpstreamClient
    model: str
    dialect: Dialect
    patience: UpstreamPatience
    without: frozenset[str] = frozenset()


class UpstreamRun:
    """Lives on the engine's loop. `emit` takes Started and the deltas; the ending is what `see_through` returns.

    `on_pause` is called when it begins to wait before it asks again, and may cancel it.
    """

    def __init__(
        self,
        submission: Submission,
        upstream: Upstream,
        emit: Callable[[Sequence[Event]], None],
        on_pause: Callable[[], None],
    ) -> None:
        self.request = submission.request
        self.is_pausing = False
        self._submission = submission
        self._upstream = upstream
        self._emit = emit
        self._on_pause = on_pause
        self._answer = UpstreamAnswer(_bounds(self.request), may_think=not self.request.completion)
        self._is_started = False
        self._asked_at = time.monotonic()
        self._first_token_at: float | None = None

    async def see_through(self) -> FinishReason:
        """Ask and follow the answer. Raises what `failure` has a sentence for; cancelling it hangs up."""
        deadline_at = self._submission.deadline_at
        left_s = None if deadline_at is None else max(0.0, deadline_at - time.monotonic())
        try:
            async with asyncio.timeout(left_s) as deadline:
                return await self._ask_until_answered()
        except TimeoutError:
            if deadline.expired():
                return FinishReason.DEADLINE
            raise

    def held_back(self) -> Sequence[Event]:
        """What came of the answer and was not shown yet."""
        return self._answer.finish()

    def ended(self, reason: FinishReason) -> list[Event]:
        """What was held back, and the end."""
        now = time.monotonic()
        first_token_at = now if self._first_token_at is None else self._first_token_at
        timings = Timings(
            queued_s=self._asked_at - self._submission.submitted_at,
            prefill_s=first_token_at - self._asked_at,
            decode_s=now - first_token_at,
        )
        usage = self._answer.usage()
        if self.request.score:
            usage = Usage(self._answer.prompt_tokens or 0, 0)
        return [*self._answer.finish(), Finished(reason, usage, timings)]

    async def _ask_until_answered(self) -> FinishReason:
        upstream = self._upstream
        pause_s, attempt = upstream.patience.first_pause_s, 1
        while True:
            path, body = request_body(
                self.request, model=upstream.model, dialect=upstream.dialect, without=upstream.without
            )
            self._asked_at = time.monotonic()
            try:
                return await self._ask(path, body)
            except WishRefused as refused:
                # The body named them, so each round asks for less.
                logger.warning("The upstream of %s refuses %s; asking without", upstream.model, refused)
                upstream.without |= refused.names
            except UpstreamAway as away:
                logger.warning("Upstream of %s, attempt %d: %s %s", upstream.model, attempt, away, away.__cause__ or "")
                # Not all at once again: half to one and a half times.
                wanted_s = pause_s * random.uniform(0.5, 1.5) if away.retry_after_s is None else away.retry_after_s  # noqa: S311
                is_last = attempt >= upstream.patience.attempts or wanted_s > upstream.patience.longest_pause_s
                if is_last or self._answer.has_begun:
                    raise
                attempt, pause_s = attempt + 1, pause_s * 2
                await self._pause(wanted_s)

    async def _pause(self, seconds: float) -> None:
        self.is_pausing = True
        self._on_pause()
        await asyncio.sleep(seconds)
        self.is_pausing = False

    async def _ask(self, path: str, body: dict[str, Any]) -> FinishReason:
        answer = self._answer
        async with self._upstream.client.events(path, body) as events:
            async for event in events:
                if event.data.strip() == DONE:
                    break
                self._take(event, body)
                if answer.finish_reason is not None:
                    if not answer.ended_here:
                        await self._read_usage(events)
                    break
        if answer.finish_reason is None:
            raise UpstreamAway("The upstream broke off before the end of the answer.")
        if self.request.score:
            if not answer.has_tokens:
                raise UnsupportedByUpstream("score: this upstream reports no probabilities.")
            return FinishReason.STOP  # the server says length: it was to write nothing
        return answer.finish_reason

    def _take(self, event: ServerEvent, body: dict[str, Any]) -> None:
        request = self.request
        chunk = read_chunk(event, top_logprobs=request.params.top_logprobs, is_echo=request.score)
        if chunk.error is not None:
            said = self._upstream.client.shown(chunk.error) or "nothing"
            raise UpstreamFailure(FailureCode.UPSTREAM, f"The upstream ended this answer. It says: {said}")
        begun = [] if self._is_started else self._answer.begin(str(request.answer_prefix))
        deltas = self._answer.take(chunk)
        if not self._is_started:
            self._is_started = True
            sent = json.dumps(body.get("messages", body.get("prompt")), ensure_ascii=False)
            self._emit([Started(self._answer.prompt_tokens, sent), *begun])
        if self._first_token_at is None and self._answer.has_begun:
            self._first_token_at = time.monotonic()
        self._emit(deltas)

    async def _read_usage(self, events: AsyncIterator[ServerEvent]) -> None:
        """The answer is whole; what may follow is its usage, and no failure there may cost the answer."""
        with suppress(TimeoutError, UpstreamFailure, StreamMalformed):
            async with asyncio.timeout(self._upstream.patience.usage_s):
                async for event in events:
                    if event.data.strip() == DONE:
                        return
                    usage = read_chunk(event, top_logprobs=0).usage
                    if usage is not None:
                        self._answer.take_usage(usage)


def _bounds(request: GenerationRequest) -> SamplingParams:
    """What the answer must keep to: a text that is only measured is as long as it is, and nothing in it ends it."""
    if not request.score:
        return request.params
    most = min(MAX_NEW_TOKENS, sum(len(message.content.encode()) for message in request.messages) + 1)
    return replace(request.params, stop=(), min_tokens=0, max_tokens=most)


def failure(error: BaseException) -> Failed:
    """How a run that raised has ended."""
    if isinstance(error, UpstreamFailure):
        return Failed(error.code, error.message)
    if isinstance(error, UnsupportedByUpstream):
        return Failed(FailureCode.UNSUPPORTED, str(error))
    if isinstance(error, StreamMalformed):
        return Failed(FailureCode.UPSTREAM, f"The upstream's answer cannot be read: {error}.")
    logger.error("An upstream request failed unexpectedly.", exc_info=error)
    return Failed(FailureCode.INTERNAL, INTERNAL_MESSAGE)
