"""The answers of `/v1/completions` in OpenAI's older form, whole and as chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from inference.events import Channel
from portal.api.openai.answer_parts import (
    WholeAnswer,
    finish_reason_of,
    head_json,
    run_member,
    summed,
    usage_json,
)
from portal.api.openai.asked_run import AskedRun
from portal.api.openai.chunks import ChunkWriter
from portal.playground.models import Generation

OBJECT_NAME: Final = "text_completion"
# What stands in a token's text for a part of a character.
_PART: Final = "\ufffd"


def whole_completion(answers: Sequence[WholeAnswer]) -> dict[str, Any]:
    """A text completion with a choice for each answer."""
    return {
        **head_json(answers[0].generation, OBJECT_NAME),
        "choices": [_whole_choice(answer, index, len(answers)) for index, answer in enumerate(answers)],
        "usage": usage_json(summed([answer.usage for answer in answers])),
    }


def _whole_choice(answer: WholeAnswer, index: int, choices: int) -> dict[str, Any]:
    text = answer.texts[Channel.ANSWER]
    logprobs = None
    if answer.tokens is not None:
        offsets = TokenOffsets(len(answer.generation.prompt))
        offsets.text = text
        logprobs = _logprobs_json(answer.tokens, offsets)
    return {
        "text": text,
        "index": index,
        "logprobs": logprobs,
        "finish_reason": finish_reason_of(answer.finish_reason),
        **run_member(answer.generation, choices),
    }


class CompletionChunkWriter(ChunkWriter):
    """Chunks of a continued text."""

    object_name = OBJECT_NAME

    def __init__(self, generation: Generation, asked: AskedRun, first: Generation, index: int) -> None:
        super().__init__(generation, asked, first, index)
        self._offsets = TokenOffsets(len(generation.prompt))

    def _text(self, text: str, channel: str, tokens: Sequence[Mapping[str, Any]]) -> bytes:
        with_logprobs = self._asked.logprobs and tokens
        if channel != Channel.ANSWER or (not text and not with_logprobs):
            return b""
        self._has_text = True
        self._offsets.text += text
        return self._choice(text, _logprobs_json(tokens, self._offsets) if with_logprobs else None)

    def _last(self, finish_reason: str) -> bytes:
        return self._choice("", finish_reason=finish_reason)

    def _choice(self, text: str, logprobs: Any = None, finish_reason: str | None = None) -> bytes:
        return self._chunk({"text": text, "logprobs": logprobs, "finish_reason": finish_reason})


class TokenOffsets:
    """Where each token begins, in characters from the beginning of the prompt.

    `text` is what is known of the answer; a stream's may lag behind its tokens. Tokens that share a character, as
    those of an emoji do, share its place too.
    """

    def __init__(self, start: int) -> None:
        self.text = ""
        self._start = start
        self._at = 0
        # The most characters that the parts since the last whole token can stand for.
        self._parts = 0

    def next(self, token: str) -> int:
        """The place of the next token, of this text."""
        if _PART in token:
            self._parts += len(token)
            return self._start + self._at
        if self._parts:
            found = self.text.find(token, self._at, self._at + self._parts + len(token))
            self._at = found if found >= 0 else min(len(self.text), self._at + self._parts)
            self._parts = 0
        place = self._at
        self._at += len(token)
        return self._start + place


def _logprobs_json(tokens: Iterable[Mapping[str, Any]], offsets: TokenOffsets) -> dict[str, Any]:
    """Parallel lists; alternatives by their texts, the token that was drawn always among them."""
    tokens = list(tokens)
    return {
        "tokens": [token["text"] for token in tokens],
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [_alternatives(token) for token in tokens],
        "text_offset": [offsets.next(token["text"]) for token in tokens],
    }


def _alternatives(token: Mapping[str, Any]) -> dict[str, float]:
    told = {token["text"]: token["logprob"]}
    for each in token["top"]:
        # Of those that look the same the most probable, which comes first.
        told.setdefault(each["text"], each["logprob"])
    return told
