"""The answer of `/v1/chat/completions` in OpenAI's form, and the parts that whole and streamed answers share."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from inference.events import Channel, FinishReason
from portal.playground.models import Generation

ID_PREFIX: Final = "chatcmpl-"
# OpenAI knows no deadline; an answer that ran out of time is cut off like one that ran out of tokens.
_FINISH_REASONS: Final = {FinishReason.DEADLINE.value: FinishReason.LENGTH.value}


def completion_id(generation_id: uuid.UUID) -> str:
    """The run's id as an OpenAI client knows it: behind the prefix, the generation's UUID in hex."""
    return ID_PREFIX + generation_id.hex


def whole_answer(
    generation: Generation,
    texts: Mapping[str, str],
    finish_reason: str,
    usage: Mapping[str, int],
    tokens: Iterable[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """A chat completion. `tokens` are those of the answer, None where nobody asked for their logprobs."""
    message: dict[str, Any] = {"role": "assistant", "content": texts[Channel.ANSWER]}
    if texts[Channel.THINKING]:
        message["reasoning_content"] = texts[Channel.THINKING]
    return {
        "id": completion_id(generation.pk),
        "object": "chat.completion",
        "created": int(generation.created_at.timestamp()),
        "model": generation.variant.model_id,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None if tokens is None else logprobs_json(tokens),
                "finish_reason": finish_reason_of(finish_reason),
            }
        ],
        "usage": usage_json(usage),
    }


def finish_reason_of(finish_reason: str) -> str:
    """A run's finish reason by OpenAI's name."""
    return _FINISH_REASONS.get(finish_reason, finish_reason)


def usage_json(usage: Mapping[str, int]) -> dict[str, Any]:
    """Token counts by OpenAI's names."""
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.get("cached_tokens", 0)},
    }


def logprobs_json(tokens: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The logprobs object for tokens of the wire's form."""
    content = [{**_token_json(token), "top_logprobs": [_token_json(each) for each in token["top"]]} for token in tokens]
    return {"content": content, "refusal": None}


def _token_json(token: Mapping[str, Any]) -> dict[str, Any]:
    text: str = token["text"]
    # A part of a character has no text of its own, so its bytes are not known here.
    utf8 = None if "\ufffd" in text else list(text.encode())
    return {"token": text, "logprob": token["logprob"], "bytes": utf8}
