"""A run's events become the chunks of OpenAI's stream: server-sent events without names, ended by `[DONE]`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson

from inference.events import FinishReason
from portal.api.openai.answer_parts import finish_reason_of, head_json, run_member, usage_json
from portal.api.openai.asked_run import AskedRun
from portal.api.openai.errors import OpenAIError, run_began_anew, run_cancelled, run_failed
from portal.playground.models import Generation
from portal.playground.stream import EventType, StreamEvent

DONE: Final = b"data: [DONE]\n\n"
# A comment, which every reader of server-sent events skips.
KEEP_ALIVE: Final = b": waiting\n\n"


class ChunkWriter(ABC):
    """Writes the chunks of one run, which is one choice. What they share is encoded once: there is one per token.

    `first` is the run of the first choice, whose id the whole answer has.
    """

    object_name: ClassVar[str]

    def __init__(self, generation: Generation, asked: AskedRun, first: Generation, index: int) -> None:
        # Once it is over, what it took; None where it ended in an error, which ends all choices.
        self.is_over = False
        self.usage: Mapping[str, int] | None = None
        self._asked = asked
        self._is_open = False
        self._has_text = False
        self._head = b"data: " + _encoded(head_json(first, self.object_name))[:-1] + b',"choices":['
        self._choice_members = {"index": index, **run_member(generation, asked.choices)}
        self._tail = b'],"usage":null}\n\n' if asked.include_usage else b"]}\n\n"

    def chunks(self, events: Iterable[StreamEvent]) -> bytes:
        """What the client is sent for these; nothing behind the end."""
        return b"".join(self._chunks(event) for event in events if not self.is_over)

    def _chunks(self, event: StreamEvent) -> bytes:  # noqa: PLR0911 - one for each kind of event
        """Empty where OpenAI's protocol has no word for it."""
        match event.type:
            case EventType.STARTED:
                return self._opening()
            case EventType.DELTA:
                return self._opening() + self._text(**event.data)
            case EventType.RESET if self._has_text:
                # What was sent cannot be taken back.
                return self._error(run_began_anew())
            case EventType.FAILED:
                return self._error(run_failed(event.data["code"], event.data["message"], self._asked.prompt_name))
            case EventType.FINISHED if event.data["finish_reason"] == FinishReason.CANCELLED:
                return self._error(run_cancelled())
            case EventType.FINISHED:
                return self._opening() + self._closing(event.data["finish_reason"], event.data["usage"])
        return b""

    def _opening(self) -> bytes:
        """What comes before the first text, once."""
        return b""

    @abstractmethod
    def _text(self, text: str, channel: str, tokens: Sequence[Mapping[str, Any]]) -> bytes: ...

    @abstractmethod
    def _last(self, finish_reason: str) -> bytes: ...

    def ending(self, usage: Mapping[str, int]) -> bytes:
        """What follows when all choices are over: what they took together, for who asked, and the end."""
        told = self._head + b'],"usage":' + _encoded(usage_json(usage)) + b"}\n\n" if self._asked.include_usage else b""
        return told + DONE

    def _closing(self, finish_reason: str, usage: Mapping[str, int]) -> bytes:
        self.is_over = True
        self.usage = usage
        return self._last(finish_reason_of(finish_reason))

    def _error(self, error: OpenAIError) -> bytes:
        self.is_over = True
        return error_event(error)

    def _chunk(self, choice: dict[str, Any]) -> bytes:
        return self._head + _encoded({**self._choice_members, **choice}) + self._tail


def error_event(error: OpenAIError) -> bytes:
    """An error in mid-stream, which ends it; no [DONE] follows, since the answer is not done."""
    return b"data: " + _encoded(error.as_json()) + b"\n\n"


def _encoded(value: Any) -> bytes:
    return orjson.dumps(value)
