"""A run's events become the chunks of OpenAI's stream: server-sent events without names, ended by `[DONE]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from inference.events import Channel, FinishReason
from portal.api.openai.chat_request import ChatRequest
from portal.api.openai.chat_response import completion_id, finish_reason_of, logprobs_json, usage_json
from portal.api.openai.errors import OpenAIError, run_began_anew, run_cancelled, run_failed
from portal.playground.models import Generation
from portal.playground.stream import EventType, StreamEvent

DONE: Final = b"data: [DONE]\n\n"
# A comment, which every reader of server-sent events skips.
KEEP_ALIVE: Final = b": waiting\n\n"
_MEMBERS: Final = {Channel.ANSWER.value: "content", Channel.THINKING.value: "reasoning_content"}


class ChunkWriter:
    """Writes the chunks of one run. What all of them share is encoded once: there is one chunk per token."""

    def __init__(self, generation: Generation, asked: ChatRequest) -> None:
        self.is_over = False
        self._asked = asked
        self._is_open = False
        self._has_text = False
        shared = {
            "id": completion_id(generation.pk),
            "object": "chat.completion.chunk",
            "created": int(generation.created_at.timestamp()),
            "model": generation.variant.model_id,
        }
        self._head = b"data: " + _encoded(shared)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if asked.include_usage else b"]}\n\n"

    def chunks(self, event: StreamEvent) -> bytes:  # noqa: PLR0911 - one for each kind of event
        """What the client is sent for an event; empty where OpenAI's protocol has no word for it."""
        match event.type:
            case EventType.STARTED:
                return self._opening()
            case EventType.DELTA:
                return self._opening() + self._text(**event.data)
            case EventType.RESET if self._has_text:
                # What was sent cannot be taken back.
                return self._error(run_began_anew())
            case EventType.FAILED:
                return self._error(run_failed(event.data["code"], event.data["message"]))
            case EventType.FINISHED if event.data["finish_reason"] == FinishReason.CANCELLED:
                return self._error(run_cancelled())
            case EventType.FINISHED:
                return self._opening() + self._closing(event.data["finish_reason"], event.data["usage"])
        return b""

    def _opening(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        return self._choice({"role": "assistant", "content": ""})

    def _text(self, text: str, channel: str, tokens: Sequence[Mapping[str, Any]]) -> bytes:
        with_logprobs = self._asked.logprobs and channel == Channel.ANSWER and tokens
        if not text and not with_logprobs:
            return b""
        self._has_text = True
        return self._choice({_MEMBERS[channel]: text}, logprobs_json(tokens) if with_logprobs else None)

    def _closing(self, finish_reason: str, usage: Mapping[str, int]) -> bytes:
        self.is_over = True
        last = self._choice({}, finish_reason=finish_reason_of(finish_reason))
        if self._asked.include_usage:
            last += self._head + b'],"usage":' + _encoded(usage_json(usage)) + b"}\n\n"
        return last + DONE

    def _error(self, error: OpenAIError) -> bytes:
        self.is_over = True
        return error_event(error)

    def _choice(self, delta: dict[str, str], logprobs: Any = None, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return self._head + _encoded(choice) + self._tail


def error_event(error: OpenAIError) -> bytes:
    """An error in mid-stream, which ends it; no [DONE] follows, since the answer is not done."""
    return b"data: " + _encoded(error.as_json()) + b"\n\n"


def _encoded(value: Any) -> bytes:
    return orjson.dumps(value)
