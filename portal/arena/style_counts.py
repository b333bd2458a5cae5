"""What of an answer's form may sway a vote: its length, headers, lists and bold, counted as LMArena does. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

FEATURES: Final = ("characters", "headers", "lists", "bold")

_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})")
_HEADER: Final = re.compile(r" {0,3}#{1,6}[ \t]+\S")
_LIST_ITEM: Final = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_BOLD: Final = re.compile(r"\*\*(?=\S)[^*\n]{1,500}\*\*|__(?=\S)[^_\n]{1,500}__")


def count_style(answer: str) -> dict[str, int]:
    """The answer's FEATURES. What stands in code blocks counts as length alone."""
    lines = list(_prose_lines(answer))
    return {
        "characters": len(answer),
        "headers": sum(_HEADER.match(line) is not None for line in lines),
        "lists": sum(_LIST_ITEM.match(line) is not None for line in lines),
        "bold": sum(len(_BOLD.findall(line)) for line in lines),
    }


def _prose_lines(answer: str) -> Iterator[str]:
    """Lines outside of fenced code; a fence that is never closed holds the rest."""
    opened = ""
    for line in answer.splitlines():
        fence = _FENCE.match(line)
        if opened:
            if fence is not None and fence[1].startswith(opened):
                opened = ""
        elif fence is not None:
            opened = fence[1]
        else:
            yield line
