"""A run of the playground's kind for a program that waits: its answer given whole or as it comes."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus
from typing import IO, Any, cast

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from inference.events import Channel, FinishReason
from portal.accounts.models import Scope
from portal.api.openai.asked_run import AskedRun
from portal.api.openai.attended_run import AttendedRun
from portal.api.openai.chunks import KEEP_ALIVE, ChunkWriter, error_event
from portal.api.openai.endpoint import require_method, require_token
from portal.api.openai.errors import (
    OpenAIError,
    error_response,
    invalid_run,
    openai_error,
    run_cancelled,
    run_failed,
)
from portal.api.openai.quota_headers import quota_headers
from portal.api.parsers import BoundedJSONParser
from portal.playground.following import KEEP_ALIVE_S, follow, run_query
from portal.playground.models import Generation, TokenTrace
from portal.playground.services import start_generation
from portal.playground.stream import TERMINAL_TYPES, EventType, StreamEvent


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How one address reads its bodies and writes its answers."""

    read: Callable[[Any], AskedRun]
    whole: Callable[..., dict[str, Any]]
    writer: Callable[[Generation, AskedRun], ChunkWriter]


async def answer_run(request: HttpRequest, form: AnswerForm) -> HttpResponseBase:
    """Starts the run, and stops it when the client goes away before its end."""
    run = AttendedRun()
    try:
        asked, generation, quota = await sync_to_async(_start)(request, form, run)
        if asked.stream:
            response = _streamed(request, form.writer(generation, asked), generation, run)
            for name, value in quota.items():
                response[name] = value
            return response
        whole = await _whole(form, asked, generation, run)
        return JsonResponse(whole, headers={"Cache-Control": "no-store", **quota})
    except asyncio.CancelledError:
        run.leave()
        raise
    except Exception as error:  # noqa: BLE001 - error_response logs what nobody expects
        run.leave()
        return error_response(request, error)


def _start(request: HttpRequest, form: AnswerForm, run: AttendedRun) -> tuple[AskedRun, Generation, dict[str, str]]:
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
        generation = start_generation(
            actor,
            variant=asked.variant,
            prompt=asked.prompt,
            history=asked.history,
            params=asked.params,
            kind=asked.kind,
        )
    except ValidationError as error:
        raise invalid_run(error, prompt_name=asked.prompt_name, length_name=asked.length_name) from error
    run.begin(generation)
    return asked, generation, quota_headers(actor)


@dataclass(slots=True)
class _Answer:
    """What a run has written until now."""

    texts: dict[str, list[str]] = field(default_factory=lambda: {channel.value: [] for channel in Channel})

    def joined(self) -> dict[str, str]:
        return {channel: "".join(texts) for channel, texts in self.texts.items()}


async def _whole(form: AnswerForm, asked: AskedRun, generation: Generation, run: AttendedRun) -> dict[str, Any]:
    """The answer once it is complete. Raises OpenAIError for a run that failed or was stopped."""
    answer = _Answer()
    async with aclosing(follow(generation, with_position=False)) as events:
        async for _id, event in events:
            match event:
                case StreamEvent(type=EventType.RESET):
                    answer = _Answer()
                case StreamEvent(type=EventType.DELTA, data=data):
                    answer.texts[data["channel"]].append(data["text"])
                case StreamEvent(type=EventType.FAILED, data=data):
                    run.ended()
                    raise run_failed(data["code"], data["message"], asked.prompt_name)
                case StreamEvent(type=EventType.FINISHED, data=data):
                    run.ended()
                    if data["finish_reason"] == FinishReason.CANCELLED:
                        raise run_cancelled()
                    tokens = await run_query(_answer_tokens, generation) if asked.logprobs else None
                    return form.whole(generation, answer.joined(), data["finish_reason"], data["usage"], tokens)
    raise AssertionError("unreachable: a followed run ends with a terminal event")


def _answer_tokens(generation: Generation) -> list[dict[str, Any]]:
    trace: list[dict[str, Any]] = TokenTrace.objects.get(generation=generation).tokens
    return [token for token in trace if token["channel"] == Channel.ANSWER]


def _streamed(
    request: HttpRequest, writer: ChunkWriter, generation: Generation, run: AttendedRun
) -> StreamingHttpResponse:
    chunks = _chunks(request, writer, generation, run)
    response = StreamingHttpResponse(chunks, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store"
    # nginx would hold the tokens back.
    response["X-Accel-Buffering"] = "no"
    # A client that leaves before the first chunk was asked for ends a generator that never began.
    weakref.finalize(response, run.leave).atexit = False
    return response


async def _chunks(
    request: HttpRequest, writer: ChunkWriter, generation: Generation, run: AttendedRun
) -> AsyncIterator[bytes]:
    last_sent = time.monotonic()
    try:
        async with aclosing(follow(generation, with_position=False)) as events:
            async for _id, event in events:
                if event is not None and event.type in TERMINAL_TYPES:
                    run.ended()
                chunks = writer.chunks(event) if event is not None else b""
                if not chunks and time.monotonic() - last_sent >= KEEP_ALIVE_S:
                    chunks = KEEP_ALIVE
                if chunks:
                    yield chunks
                    last_sent = time.monotonic()
                if writer.is_over:
                    return
    except Exception as error:  # noqa: BLE001 - openai_error logs what nobody expects
        yield error_event(openai_error(request, error))
    finally:
        run.leave()
