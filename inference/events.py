"""What an engine says about a request, in order: Started, Delta*, then exactly one of Finished, Failed, Released."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Channel(StrEnum):
    """Where text belongs: the answer, or the reasoning that precedes it."""

    ANSWER = "answer"
    THINKING = "thinking"


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"


class FailureCode(StrEnum):
    """Why there is no answer; stable, since clients branch on it."""

    CONTEXT_EXCEEDED = "context_exceeded"
    OUT_OF_MEMORY = "out_of_memory"
    NUMERICAL = "numerical"
    TOKENIZER = "tokenizer"
    UNSUPPORTED = "unsupported"
    UPSTREAM = "upstream"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One candidate for a position: its token id, its text, its natural-log probability."""

    id: int
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the answer. `logprob` is of the unmodified distribution, before temperature and filters.

    It is None for the first token of a text that is measured, which nothing precedes. `id` is -1 where an upstream
    tells only texts.
    """

    id: int
    text: str
    logprob: float | None
    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` of the prompt were not computed again; `reasoning_tokens` of the rest are thinking.

    `is_counted`: an upstream did not tell them, so they were counted from what arrived (tokens where it names them,
    else pieces of text); a prompt's tokens that nobody told are 0.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    is_counted: bool = False
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds inside the engine: waiting for a slot, reading the prompt, and writing the answer."""

    queued_s: float
    prefill_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class Started:
    """The request has a slot. `rendered_prompt` is the exact text that was tokenised.

    An upstream renders by itself: then it is the JSON of what was sent to it, and `prompt_tokens` is None where the
    upstream tells them only at the end or not at all.
    """

    prompt_tokens: int | None
    rendered_prompt: str


@dataclass(frozen=True, slots=True)
class Delta:
    """New text. It may lag its tokens (half a character, a possible stop string) and then holds several of them.

    All deltas' text of a channel, joined, is the channel's final text; all their tokens are the output's tokens.
    """

    text: str
    channel: Channel = Channel.ANSWER
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole."""

    finish_reason: FinishReason
    usage: Usage
    timings: Timings


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer. `message` is a sentence for the person who asked."""

    code: FailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Released:
    """The engine closed before the answer was whole; another engine may take the request from its start."""


Event = Started | Delta | Finished | Failed | Released
TERMINAL_EVENTS = (Finished, Failed, Released)


@dataclass(frozen=True, slots=True)
class Emission:
    """An event and the request that it belongs to."""

    request_id: str
    event: Event = field()
