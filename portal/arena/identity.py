"""Whether a battle's text gave a name away: then its vote is kept and not ranked. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from portal.arena.models import VoidReason

_ASKS: Final = re.compile(
    r"\b(?:who|what) (?:are|r) (?:you|u)\b|\bwho(?:'s| is) this\b|\bintroduce yourself\b|"
    r"\bare you (?:an? )?(?:ai|gpt|chatgpt|llama|claude|qwen|gemini|smollm|mistral)\b|"
    r"\b(?:what|which) (?:ai |language |large )*(?:model|llm|ai|version|weights) (?:are|is|do|were|am)\b|"
    r"\b(?:what(?:'s| is)|tell me) your (?:name|model|version|identity)\b|"
    r"\b(?:who|(?:what|which) (?:company|lab)) (?:has )?(?:made|created|trained|built|developed|designed|owns) you\b|"
    r"\byour (?:system prompt|creators?|developers?|training data|knowledge cut-?off)\b|"
    r"\bwer bist du\b|\bwie hei(?:ß|ss)t du\b|\bwelches (?:sprach)?modell bist\b|\bwer hat dich\b|\bdein name\b",
    re.IGNORECASE,
)
_SAYS: Final = re.compile(
    r"\bmy name is\b|\bi(?:'m| am) (?:called|named)\b|"
    r"\bi(?:'m| am)(?: \w+){0,3} (?:language model|assistant)[^.!?\n]{0,60}\b(?:named|called|by|from)\b|"
    r"\b(?:trained|developed|created|made|built) by\b[^.!?\n]{0,40}"
    r"\b(?:openai|anthropic|google|meta|mistral|alibaba|microsoft|hugging ?face)\b|"
    r"\bich hei(?:ß|ss)e\b|\bmein name ist\b",
    re.IGNORECASE,
)
# Parts of names that are words of everyday language or of every name.
_COMMON: Final = frozenset({
    "base", "chat", "code", "coder", "demo", "instruct", "large", "lite", "local", "mini", "model", "models", "nano",
    "preview", "small", "smol", "test", "text", "tiny", "tools", "version", "other", "weights",
})  # fmt: skip
_PART: Final = re.compile(r"[^\W\d_]{4,}")


def find_identity(
    prompts: Sequence[str], answers: Iterable[str], names: Iterable[str], phrases: Iterable[str] = ()
) -> VoidReason | None:
    """Why the battle cannot be ranked, if it cannot.

    `names` are those of the pool's cards and owners, of which each telling part counts; `phrases` count as they stand.
    """
    if any(_ASKS.search(prompt) for prompt in prompts):
        return VoidReason.IDENTITY_ASKED
    asked = "\n".join(prompts).casefold()
    words = {word for name in names for word in name_words(name)} | {each.strip().casefold() for each in phrases}
    # A word that the person brought up is a topic; an answer that repeats it tells nothing.
    telling = sorted(word for word in words if word and word not in asked)
    tells = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, telling))})", re.IGNORECASE) if telling else None
    for answer in answers:
        if _SAYS.search(answer) or (tells is not None and tells.search(answer)):
            return VoidReason.NAME_IN_ANSWER
    return None


def name_words(name: str) -> set[str]:
    """What of a name tells it apart: `HuggingFaceTB/SmolLM2-135M` gives huggingfacetb and smollm."""
    return {word for word in (part.casefold() for part in _PART.findall(name)) if word not in _COMMON}
