"""One claimed generation while an engine runs it: what it has produced so far, and how it ended."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from inference.engine import Engine, GenerationRequest, Message
from inference.events import Channel, Delta, Event, Failed, Finished, Released, Started, Token
from inference.sampling_params import SamplingParams
from portal.playground.models import Generation, Kind
from portal.playground.stream import token_object

# What PostgreSQL's text and UTF-8 cannot hold, and byte-level vocabularies can produce.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _beginning(opening: list[dict[str, Any]]) -> str | tuple[int, ...]:
    """The tokens that the answer begins with, exactly; as text where an upstream told no ids."""
    ids = tuple(token["id"] for token in opening)
    return ids if ids and min(ids) >= 0 else "".join(token["text"] for token in opening)


def storable(event: Event) -> Event:
    """The event with the characters replaced that cannot be stored, so that stream and row say the same."""
    match event:
        case Delta():
            return replace(event, text=_mended(event.text), tokens=tuple(map(_mended_token, event.tokens)))
        case Started():
            return replace(event, rendered_prompt=_mended(event.rendered_prompt))
        case Failed():
            return replace(event, message=_mended(event.message))
    return event


def _mended(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def _mended_token(token: Token) -> Token:
    if not _UNSTORABLE.search(token.text + "".join(each.text for each in token.top)):
        return token
    top = tuple(replace(each, text=_mended(each.text)) for each in token.top)
    return replace(token, text=_mended(token.text), top=top)


@dataclass(slots=True)
class ActiveRun:
    """A generation under one claim. The engine's thread records into it, the task's thread waits on `ended`."""

    generation: Generation
    engine: Engine
    claimed_at: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)
    is_lost: bool = False
    rendered_prompt: str = ""
    texts: dict[Channel, list[str]] = field(default_factory=lambda: {channel: [] for channel in Channel})
    tokens: list[tuple[Channel, Token]] = field(default_factory=list)
    first_token_at: float | None = None
    outcome: Finished | Failed | Released | None = None

    @property
    def run_id(self) -> str:
        return f"{self.generation.pk}:{self.generation.attempt}"

    def request(self, deadline_s: float) -> GenerationRequest:
        """What the engine is asked to do. Raises InvalidParameter for a row that an older version wrote."""
        return GenerationRequest(
            request_id=self.run_id,
            messages=tuple(Message(**message) for message in self.generation.messages),
            params=SamplingParams.from_mapping(self.generation.params),
            deadline_s=deadline_s,
            repeatable=self.generation.is_repeatable,
            completion=self.generation.kind != Kind.CHAT,
            score=self.generation.kind == Kind.SCORE,
            answer_prefix=_beginning(self.generation.opening),
        )

    def record(self, event: Event) -> None:
        match event:
            case Started():
                self.rendered_prompt = event.rendered_prompt
            case Delta():
                if self.first_token_at is None:
                    self.first_token_at = time.monotonic()
                self.texts[event.channel].append(event.text)
                self.tokens += [(event.channel, token) for token in event.tokens]
            case Finished() | Failed() | Released():
                self.outcome = event
                self.ended.set()

    def result_columns(self) -> dict[str, Any]:
        """The columns that the run has filled, however it ended."""
        return {
            "rendered_prompt": self.rendered_prompt,
            "output": "".join(self.texts[Channel.ANSWER]),
            "thinking": "".join(self.texts[Channel.THINKING]),
            "timings": self.timings(),
            "provenance": self.engine.provenance(),
        }

    def trace(self) -> list[dict[str, Any]]:
        """The tokens in the form that TokenTrace keeps."""
        return [{**token_object(token), "channel": channel} for channel, token in self.tokens]

    def timings(self) -> dict[str, float]:
        """Seconds: waiting for a worker, for the engine, reading the prompt, writing, and to the first token."""
        generation = self.generation
        assert generation.started_at is not None
        waited_s = (generation.started_at - generation.created_at).total_seconds()
        timings = {"queue_s": waited_s}
        if self.first_token_at is not None:
            timings["first_token_s"] = waited_s + self.first_token_at - self.claimed_at
        if isinstance(self.outcome, Finished):
            timings["engine_wait_s"] = self.outcome.timings.queued_s
            timings["prefill_s"] = self.outcome.timings.prefill_s
            timings["decode_s"] = self.outcome.timings.decode_s
        return {name: round(seconds, 4) for name, seconds in timings.items()}
