"""The answers of `/v1/chat/completions` in OpenAI's form, whole and as chunks."""

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
from portal.api.openai.chunks import ChunkWriter

_MEMBERS: Final = {Channel.ANSWER.value: "content", Channel.THINKING.value: "reasoning_content"}


def whole_chat(answers: Sequence[WholeAnswer]) -> dict[str, Any]:
    """A chat completion with a choice for each answer."""
    return {
        **head_json(answers[0].generation, "chat.completion"),
        "choices": [_whole_choice(answer, index, len(answers)) for index, answer in enumerate(answers)],
        "usage": usage_json(summed([answer.usage for answer in answers])),
    }


def _whole_choice(answer: WholeAnswer, index: int, choices: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.texts[Channel.ANSWER]}
    if answer.texts[Channel.THINKING]:
        message["reasoning_content"] = answer.texts[Channel.THINKING]
    return {
        "index": index,
        "message": message,
        "logprobs": None if answer.tokens is None else _logprobs_json(answer.tokens),
        "finish_reason": finish_reason_of(answer.finish_reason),
        **run_member(answer.generation, choices),
    }


class ChatChunkWriter(ChunkWriter):
    """Chunks of a chat's answer; the first has its role."""

    object_name = "chat.completion.chunk"

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
        return self._choice({_MEMBERS[channel]: text}, _logprobs_json(tokens) if with_logprobs else None)

    def _last(self, finish_reason: str) -> bytes:
        return self._choice({}, finish_reason=finish_reason)

    def _choice(self, delta: dict[str, str], logprobs: Any = None, finish_reason: str | None = None) -> bytes:
        return self._chunk({"delta": delta, "logprobs": logprobs, "finish_reason": finish_reason})


def _logprobs_json(tokens: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The logprobs object for tokens of the wire's form."""
    content = [{**_token_json(token), "top_logprobs": [_token_json(each) for each in token["top"]]} for token in tokens]
    return {"content": content, "refusal": None}


def _token_json(token: Mapping[str, Any]) -> dict[str, Any]:
    text: str = token["text"]
    # A part of a character has no text of its own, so its bytes are not known here.
    utf8 = None if "\ufffd" in text else list(text.encode())
    return {"token": text, "logprob": token["logprob"], "bytes": utf8}
