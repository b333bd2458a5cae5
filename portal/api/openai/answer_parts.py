"""What whole and streamed answers of either kind share: the run's id, why it ended, what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inference.events import FinishReason
from portal.playground.models import Generation, Kind

_ID_PREFIXES: Final = {Kind.CHAT: "chatcmpl-", Kind.COMPLETION: "cmpl-"}
# OpenAI knows no deadline; an answer that ran out of time is cut off like one that ran out of tokens.
_FINISH_REASONS: Final = {FinishReason.DEADLINE.value: FinishReason.LENGTH.value}


def head_json(generation: Generation, name: str) -> dict[str, Any]:
    """The members with which each object begins. Behind the id's prefix stands the generation's UUID in hex."""
    return {
        "id": _ID_PREFIXES[Kind(generation.kind)] + generation.pk.hex,
        "object": name,
        "created": int(generation.created_at.timestamp()),
        "model": generation.variant.model_id,
    }


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """What one run wrote. `tokens` are those of the answer, None where nobody asked for their logprobs."""

    generation: Generation
    texts: Mapping[str, str]
    finish_reason: str
    usage: Mapping[str, int]
    tokens: Sequence[Mapping[str, Any]] | None


def run_member(generation: Generation, choices: int) -> dict[str, str]:
    """Which run a choice is, where there are several and the answer's own id is the first one's."""
    return {"run_id": str(generation.pk)} if choices > 1 else {}


def summed(usages: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The token counts of all choices together, the prompt's once as OpenAI counts it, though each run reads it."""
    written = ("completion_tokens", "reasoning_tokens")
    return {**usages[0], **{name: sum(usage.get(name, 0) for usage in usages) for name in written}}


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
        "completion_tokens_details": {"reasoning_tokens": usage.get("reasoning_tokens", 0)},
    }
