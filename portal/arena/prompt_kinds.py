"""What a vote's prompts are about: language, category and hardness, by rules that docs/methodology.md states."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from portal.arena.models import Category
from portal.arena.written_language import written_language

_CODE: Final = re.compile(
    r"```|\bdef \w+\(|\bfunction \w*\(|#include\b|</\w+>|\bSELECT\b.{1,200}\bFROM\b|"
    r"\b(?:python|javascript|typescript|java|kotlin|rust|golang|c\+\+|c#|sql|bash|regex|html|css|json|docker|git|"
    r"unit tests?|refactor|compiler?|debug|stack trace|api endpoint|code|programm?|algorithm|algorithmus)\b",
    re.IGNORECASE | re.DOTALL,
)
_MATHS: Final = re.compile(
    r"\d\s*[-+*/^\u00d7÷=]\s*\d|[a-z]\s*\^\s*\d|\b\d+\s*%\s*of\b|[∑∫√π≤≥]|\\(?:frac|sum|int|sqrt)\b|"
    r"\b(?:solve|equation|integral|derivative|prove|proof|theorem|probability|matrix|polynomial|algebra|geometry|"
    r"how many|calculate|sum of|product of|löse|gleichung|beweise|wahrscheinlichkeit|berechne|wie viele)\b",
    re.IGNORECASE,
)
_WRITING: Final = re.compile(
    r"\b(?:write|compose|draft|rewrite|rephrase|continue|schreib\w*|verfass\w*|dichte)\b.{0,60}"
    r"\b(?:story|tale|poem|haiku|sonnet|song|lyrics|essay|letter|e-?mail|speech|article|blog|script|dialogue|novel|"
    r"paragraph|slogan|geschichte|gedicht|brief|aufsatz|rede|artikel)\b",
    re.IGNORECASE | re.DOTALL,
)
_CONSTRAINT: Final = re.compile(
    r"\b(?:must|exactly|at least|at most|only|without|no more than|in \d+ (?:words|sentences|lines|steps)|"
    r"muss|genau|mindestens|höchstens|ohne)\b",
    re.IGNORECASE,
)
_LIST_ITEM: Final = re.compile(r"^[ \t]*(?:\d{1,9}[.)]|[-*])[ \t]+\S", re.MULTILINE)
LONG_PROMPT: Final = 400


def category_of(prompts: Sequence[str]) -> Category:
    """The first of code, writing and maths whose rule fits, else other. Writing about numbers is writing."""
    text = "\n".join(prompts)
    for category, rule in ((Category.CODE, _CODE), (Category.WRITING, _WRITING), (Category.MATHS, _MATHS)):
        if rule.search(text):
            return category
    return Category.OTHER


def hardness_of(prompts: Sequence[str]) -> int:
    """How many of four hold, 0 to 4: it is long; it sets two or more conditions; it asks several things; it is about
    code or maths."""
    text = "\n".join(prompts)
    signs = (
        len(text) >= LONG_PROMPT,
        len(_CONSTRAINT.findall(text)) >= 2,
        text.count("?") >= 2 or len(_LIST_ITEM.findall(text)) >= 2,
        category_of(prompts) in {Category.CODE, Category.MATHS},
    )
    return sum(signs)


def language_of(prompts: Sequence[str]) -> str:
    """Of all prompts together, as `written_language` has it."""
    return written_language("\n".join(prompts))


def prompt_digest(prompts: Sequence[str]) -> str:
    """The same for the same questions, whatever their case and spacing."""
    normal = "\n".join(" ".join(prompt.casefold().split()) for prompt in prompts)
    return hashlib.sha256(normal.encode()).hexdigest()
