"""The token stream of a generation: its events on the wire, their ids, and the Redis key that holds them.

An entry's id is `<attempt>-<seq>`, seq counting from 1 within an attempt. Redis refuses an id that is not above the
stream's last one, so the id is the fence: a worker that lost its claim cannot write after its successor has begun, a
write that was sent twice lands once, and a reader's Last-Event-ID says which attempt it saw and how far.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

import orjson

from inference.events import Token

FIELD: Final = b"e"
_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


class EventType(StrEnum):
    """The events that a viewer can meet."""

    QUEUED = "queued"
    STARTED = "started"
    DELTA = "delta"
    RESET = "reset"
    FINISHED = "finished"
    FAILED = "failed"


TERMINAL_TYPES: Final = frozenset({EventType.FINISHED, EventType.FAILED})


class StreamId(NamedTuple):
    """A place in a generation's stream; compares in stream order."""

    attempt: int
    seq: int

    def __str__(self) -> str:
        return f"{self.attempt}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when `text` is not an id of ours."""
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError("Last-Event-ID must be <attempt>-<number>.")
        return cls(int(match[1]), int(match[2]))

    def follows(self, earlier: StreamId) -> bool:
        """Whether nothing is missing between `earlier` and this one."""
        if self.attempt == earlier.attempt:
            return self.seq == earlier.seq + 1
        return self.attempt > earlier.attempt and self.seq == 1


BEGINNING: Final = StreamId(0, 0)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: its type and its JSON object, without the type."""

    type: EventType
    data: dict[str, Any]
    # As server-sent event with the id that it has in its stream, for all who watch it.
    written: bytes = field(default=b"", compare=False, repr=False)

    def encode(self) -> bytes:
        """Raises TypeError for what JSON cannot say, as a number of more than 64 bits."""
        return orjson.dumps({"type": self.type, **self.data})

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        data = orjson.loads(payload)
        return cls(EventType(data.pop("type")), data)

    def written_once(self, event_id: StreamId) -> StreamEvent:
        """The same event, which from now on is written as it is now: `event_id` is its place in its stream."""
        return StreamEvent(self.type, self.data, self.as_sse(event_id))

    def as_sse(self, event_id: StreamId | None = None) -> bytes:
        """The event in the format of the HTML standard's server-sent events. JSON has no raw line breaks."""
        if self.written and event_id is not None:
            return self.written
        id_line = f"id: {event_id}\n" if event_id is not None else ""
        return b"%sevent: %s\ndata: %s\n\n" % (id_line.encode(), self.type.encode(), orjson.dumps(self.data))


def stream_key(generation_id: uuid.UUID) -> str:
    return f"steelyard:generation:{generation_id}"


def started(attempt: int, variant: str) -> StreamEvent:
    return StreamEvent(EventType.STARTED, {"attempt": attempt, "variant": variant})


def token_object(token: Token) -> dict[str, Any]:
    """A token as the stream and the trace have it. `asdict` takes ten times as long, and there is one per token."""
    top = [{"id": each.id, "text": each.text, "logprob": each.logprob} for each in token.top]
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "top": top}


def reset(attempt: int) -> StreamEvent:
    return StreamEvent(EventType.RESET, {"attempt": attempt})


def queued(position: int, eta_s: float | None, loading_percent: int | None = None) -> StreamEvent:
    """`loading` is there only while a worker loads the model's weights."""
    loading = {} if loading_percent is None else {"loading": loading_percent}
    return StreamEvent(EventType.QUEUED, {"position": position, "eta_s": eta_s, **loading})


def finished(finish_reason: str, usage: dict[str, Any], timings: dict[str, Any]) -> StreamEvent:
    return StreamEvent(EventType.FINISHED, {"finish_reason": finish_reason, "usage": usage, "timings": timings})


def failed(code: str, message: str) -> StreamEvent:
    return StreamEvent(EventType.FAILED, {"code": code, "message": message})
