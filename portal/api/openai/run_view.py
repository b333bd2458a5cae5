"""A run of the playground's kind for a program that waits: its answer given whole or as it comes."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus
from typing import IO, Any, cast

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from inference.events import Channel, FinishReason
from portal.accounts.actors import Actor
from portal.accounts.idle_connections import give_connection_back
from portal.accounts.models import Scope
from portal.api.authentication import refused_since
from portal.api.openai.answer_parts import WholeAnswer, summed
from portal.api.openai.asked_run import AskedRun
from portal.api.openai.attended_run import AttendedRun
from portal.api.openai.choices import Told, all_of, events_of, params_of_choices
from portal.api.openai.chunks import KEEP_ALIVE, ChunkWriter, error_event
from portal.api.openai.endpoint import require_method, require_token
from portal.api.openai.errors import (
    OpenAIError,
    error_response,
    invalid_run,
    openai_error,
    run_cancelled,
    run_failed,
    unavailable,
)
from portal.api.openai.quota_headers import quota_headers
from portal.api.parsers import BoundedJSONParser
from portal.playground.client_presence import when_client_leaves
from portal.playground.dispatch import wait_until_sent
from portal.playground.following import KEEP_ALIVE_S, run_query
from portal.playground.models import Generation, TokenTrace
from portal.playground.queries import are_any_queued
from portal.playground.quota import Quota
from portal.playground.services import prepare_generation
from portal.playground.stream import TERMINAL_TYPES, EventType, StreamEvent
from portal.playground.waiting import waiting_begins


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How one address reads its bodies and writes its answers."""

    read: Callable[[Any], AskedRun]
    whole: Callable[[Sequence[WholeAnswer]], dict[str, Any]]
    writer: Callable[[Generation, AskedRun, Generation, int], ChunkWriter]


def answer_run(request: HttpRequest, form: AnswerForm) -> HttpResponseBase:
    """Starts a run for each choice, and stops them when the client goes away before their end."""
    run = AttendedRun()
    # Nothing cancels a thread: a client that leaves during the start stops what it is about to begin.
    when_client_leaves(run.leave)
    try:
        asked, generations, quota = _start_and_let_go(request, form, run)
        _require_queue(generations)
        if asked.stream:
            writers = [form.writer(each, asked, generations[0], index) for index, each in enumerate(generations)]
            response = _streamed(request, writers, generations, run)
            for name, value in quota.items():
                response[name] = value
            return response
        answers = async_to_sync(_all_whole)(asked, generations, run)
        return JsonResponse(form.whole(answers), headers={"Cache-Control": "no-store", **quota})
    except asyncio.CancelledError:
        run.leave()
        raise
    except Exception as error:  # noqa: BLE001 - error_response logs what nobody expects
        run.leave()
        return error_response(request, error)


def _start_and_let_go(
    request: HttpRequest, form: AnswerForm, run: AttendedRun
) -> tuple[AskedRun, list[Generation], dict[str, str]]:
    try:
        return _start(request, form, run)
    finally:
        # The queue may be waited for, and the answer may take minutes.
        give_connection_back()


def _start(
    request: HttpRequest, form: AnswerForm, run: AttendedRun
) -> tuple[AskedRun, list[Generation], dict[str, str]]:
    require_method(request, HTTPMethod.POST)
    actor = require_token(request, Scope.SUBMIT)
    if request.content_type != BoundedJSONParser.media_type:
        raise OpenAIError(
            _("The body must be JSON: “Content-Type: application/json”."),
            code="unsupported_media_type",
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    asked = form.read(BoundedJSONParser().parse(cast("IO[bytes]", request)))
    try:
        generations, quotas = _started(actor, asked)
    except IntegrityError as error:
        refused = refused_since(error, actor.api_token)
        if refused is error:
            raise
        raise refused from error
    except ValidationError as error:
        raise invalid_run(error, prompt_name=asked.prompt_name, length_name=asked.length_name) from error
    for generation in generations:
        run.begin(generation)
    return asked, generations, quota_headers(quotas)


def _started(actor: Actor, asked: AskedRun) -> tuple[list[Generation], tuple[Quota, ...]]:
    """A run for each choice, all or none, and the quotas with them. Raises as `prepare_generation` and `start` do."""
    # One alone needs no transaction around its own.
    with transaction.atomic() if asked.choices > 1 else nullcontext():
        started = [
            prepare_generation(
                actor,
                variant=asked.variant,
                prompt=asked.prompt,
                history=asked.history,
                params=params,
                kind=asked.kind,
            ).start_counted()
            for params in params_of_choices(asked.params, asked.choices)
        ]
    return [generation for generation, _quotas in started], started[-1][1]


def _require_queue(generations: Sequence[Generation]) -> None:
    """Before anything is answered, or a stream could no longer say 503. Raises OpenAIError.

    A short restart is waited for. Behind it the client is told to come again: its runs are stopped, so none is doubled.
    """
    if wait_until_sent([each.pk for each in generations], settings.QUEUE_PATIENCE_S):
        return
    # The sweep, in another process, may have reached the queue.
    is_any_queued = are_any_queued(generations)
    give_connection_back()
    if is_any_queued:
        raise unavailable()


@dataclass(slots=True)
class _Answer:
    """What a run has written until now."""

    texts: dict[str, list[str]] = field(default_factory=lambda: {channel.value: [] for channel in Channel})

    def joined(self) -> dict[str, str]:
        return {channel: "".join(texts) for channel, texts in self.texts.items()}


async def _all_whole(asked: AskedRun, generations: Sequence[Generation], run: AttendedRun) -> list[WholeAnswer]:
    waiting_begins()
    return await all_of([_whole(asked, generation, run) for generation in generations])


async def _whole(asked: AskedRun, generation: Generation, run: AttendedRun) -> WholeAnswer:
    """The answer once it is complete. Raises OpenAIError for a run that failed or was stopped."""
    answer = _Answer()
    async with aclosing(events_of([generation])) as events:
        async for event in _each(events):
            match event:
                case StreamEvent(type=EventType.RESET):
                    answer = _Answer()
                case StreamEvent(type=EventType.DELTA, data=data):
                    answer.texts[data["channel"]].append(data["text"])
                case StreamEvent(type=EventType.FAILED, data=data):
                    run.ended(generation)
                    raise run_failed(data["code"], data["message"], asked.prompt_name)
                case StreamEvent(type=EventType.FINISHED, data=data):
                    run.ended(generation)
                    if data["finish_reason"] == FinishReason.CANCELLED:
                        raise run_cancelled()
                    tokens = await run_query(_answer_tokens, generation) if asked.logprobs else None
                    return WholeAnswer(generation, answer.joined(), data["finish_reason"], data["usage"], tokens)
    raise AssertionError("unreachable: a followed run ends with a terminal event")


async def _each(told: AsyncIterable[Told]) -> AsyncIterator[StreamEvent]:
    async for _index, events in told:
        for event in events:
            yield event


def _answer_tokens(generation: Generation) -> list[dict[str, Any]]:
    trace: list[dict[str, Any]] = TokenTrace.objects.get(generation=generation).tokens
    return [token for token in trace if token["channel"] == Channel.ANSWER]


def _streamed(
    request: HttpRequest, writers: Sequence[ChunkWriter], generations: Sequence[Generation], run: AttendedRun
) -> StreamingHttpResponse:
    chunks = _chunks(request, writers, generations, run)
    response = StreamingHttpResponse(chunks, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    # nginx would hold the tokens back.
    response["X-Accel-Buffering"] = "no"
    # A client that leaves before the first chunk was asked for ends a generator that never began.
    weakref.finalize(response, run.leave).atexit = False
    return response


async def _chunks(
    request: HttpRequest, writers: Sequence[ChunkWriter], generations: Sequence[Generation], run: AttendedRun
) -> AsyncIterator[bytes]:
    last_sent = time.monotonic()
    try:
        async with aclosing(events_of(generations)) as events:
            async for index, happened in events:
                writer = writers[index]
                if happened and happened[-1].type in TERMINAL_TYPES:
                    run.ended(generations[index])
                chunks = writer.chunks(happened)
                usages = [each.usage for each in writers if each.usage is not None]
                is_over = len(usages) == len(writers)
                if is_over:
                    chunks += writers[0].ending(summed(usages))
                if not chunks and time.monotonic() - last_sent >= KEEP_ALIVE_S:
                    chunks = KEEP_ALIVE
                if chunks:
                    yield chunks
                    last_sent = time.monotonic()
                if is_over or (writer.is_over and writer.usage is None):
                    return
    except Exception as error:  # noqa: BLE001 - openai_error logs what nobody expects
        yield error_event(openai_error(request, error))
    finally:
        run.leave()
