"""One event of an OpenAI-compatible stream, checked, as text, tokens, counts and the reason for the end."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inference.events import Alternative, Token
from inference.upstream_sse import ServerEvent, StreamMalformed

UNKNOWN_TOKEN_ID: Final = -1
"""The id of a token whose server does not tell ids: OpenAI's protocol has only texts."""

MAX_TOKEN_CHARACTERS: Final = 1_024


@dataclass(frozen=True, slots=True)
class UpstreamUsage:
    """Token counts as the upstream says them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one event adds. `error` is the upstream's own sentence about a run that failed there."""

    text: str = ""
    thinking: str = ""
    tokens: tuple[Token, ...] = ()
    finish_reason: str | None = None
    usage: UpstreamUsage | None = None
    has_tool_call: bool = False
    error: str | None = None


def read_chunk(event: ServerEvent, *, top_logprobs: int, is_echo: bool = False) -> Chunk:
    """Raises StreamMalformed. Alternatives beyond `top_logprobs` are left out: some servers add the chosen token.

    In an echo, a prompt told again, a token may lack its log-probability: nothing precedes the first.
    """
    try:
        # Python reads NaN and Infinity, which are not JSON and which no probability may be.
        document = json.loads(event.data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StreamMalformed("an event is not JSON") from error
    if not isinstance(document, dict):
        raise StreamMalformed("an event is not a JSON object")
    if document.get("error") or event.name == "error":
        return Chunk(error=error_sentence(document))
    usage = _usage(document.get("usage"))
    choices = document.get("choices")
    if choices is None and usage is not None:
        return Chunk(usage=usage)
    if not isinstance(choices, list):
        raise StreamMalformed("an event has no choices")
    if not choices:
        return Chunk(usage=usage)
    choice = choices[0]
    if not isinstance(choice, dict):
        raise StreamMalformed("a choice is not an object")
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        # /v1/completions puts the text where /v1/chat/completions has the delta.
        delta = {"content": choice.get("text")}
    finish_reason = choice.get("finish_reason")
    return Chunk(
        text=_string(delta.get("content"), "content"),
        thinking=_string(delta.get("reasoning_content") or delta.get("reasoning"), "reasoning"),
        tokens=_tokens(choice, top_logprobs, is_echo=is_echo),
        finish_reason=_string(finish_reason, "finish_reason") or None,
        usage=usage,
        has_tool_call=bool(delta.get("tool_calls") or delta.get("function_call")),
    )


def error_sentence(document: Any) -> str:
    """What an error body says: OpenAI's, FastAPI's and TGI's forms. Empty when it says nothing that can be shown."""
    for key in ("error", "detail", "message"):
        if isinstance(document, dict) and document.get(key):
            document = document[key]
    if isinstance(document, list) and document:
        return error_sentence(document[0].get("msg", "") if isinstance(document[0], dict) else document[0])
    return document if isinstance(document, str) else ""


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _string(value: Any, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise StreamMalformed(f"{name} is not a text")
    return value


def _usage(value: Any) -> UpstreamUsage | None:
    if not isinstance(value, dict):
        return None
    cached = _detail(value.get("prompt_tokens_details"), "cached_tokens")
    reasoning = _detail(value.get("completion_tokens_details"), "reasoning_tokens")
    return UpstreamUsage(
        prompt_tokens=_count(value.get("prompt_tokens"), "prompt_tokens"),
        completion_tokens=_count(value.get("completion_tokens"), "completion_tokens"),
        cached_tokens=_count(cached, "cached_tokens"),
        reasoning_tokens=None if reasoning is None else _count(reasoning, "reasoning_tokens"),
    )


def _detail(details: Any, name: str) -> Any:
    return details.get(name) if isinstance(details, dict) else None


def _count(value: Any, name: str) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise StreamMalformed(f"{name} is not a count")
    return value


# --- Tokens


def _tokens(choice: Mapping[str, Any], top_logprobs: int, *, is_echo: bool) -> tuple[Token, ...]:
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        return ()
    entries = logprobs.get("content")
    if entries is None and "tokens" in logprobs:
        entries = _legacy_entries(logprobs)
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise StreamMalformed("logprobs is not a list")
    # vLLM tells the ids beside the tokens; llama.cpp inside each.
    ids = choice.get("prompt_token_ids" if is_echo else "token_ids")
    if not isinstance(ids, list) or len(ids) != len(entries):
        ids = [None] * len(entries)
    return tuple(
        _token(entry, token_id, top_logprobs, is_echo=is_echo) for entry, token_id in zip(entries, ids, strict=True)
    )


def _legacy_entries(logprobs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The form of /v1/completions: parallel lists, alternatives as a mapping from text."""
    texts, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    tops = logprobs.get("top_logprobs") or []
    if not isinstance(texts, list) or not isinstance(values, list) or not isinstance(tops, list):
        raise StreamMalformed("logprobs is not a list")
    if len(texts) != len(values) or (tops and len(tops) != len(texts)):
        raise StreamMalformed("logprobs has lists of different lengths")
    entries = []
    for number, (text, value) in enumerate(zip(texts, values, strict=True)):
        top = tops[number] if tops and isinstance(tops[number], dict) else {}
        alternatives = [{"token": other, "logprob": logprob} for other, logprob in top.items()]
        entries.append({"token": text, "logprob": value, "top_logprobs": alternatives})
    return entries


def _token(entry: Any, token_id: Any, top_logprobs: int, *, is_echo: bool) -> Token:
    if not isinstance(entry, dict):
        raise StreamMalformed("a token is not an object")
    top = entry.get("top_logprobs") or []
    if not isinstance(top, list):
        raise StreamMalformed("top_logprobs is not a list")
    return Token(
        id=_token_id(entry.get("id") if token_id is None else token_id),
        text=_token_text(entry),
        logprob=None if is_echo and entry.get("logprob") is None else _logprob(entry),
        top=_alternatives(top, top_logprobs),
    )


def _alternatives(entries: Sequence[Any], limit: int) -> tuple[Alternative, ...]:
    found = [
        Alternative(id=_token_id(entry.get("id")), text=_token_text(entry), logprob=_logprob(entry))
        for entry in entries[:64]
        if isinstance(entry, dict)
    ]
    return tuple(sorted(found, key=lambda each: -each.logprob)[:limit])


def _token_id(value: Any) -> int:
    is_id = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if is_id else UNKNOWN_TOKEN_ID


def _token_text(entry: Mapping[str, Any]) -> str:
    text = _string(entry.get("token"), "token")
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise StreamMalformed(f"a token has more than {MAX_TOKEN_CHARACTERS:,} characters")
    return text


def _logprob(entry: Mapping[str, Any]) -> float:
    value = entry.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StreamMalformed("a logprob is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number) or math.isinf(number):
        raise StreamMalformed("a logprob is not a finite number")
    return number
