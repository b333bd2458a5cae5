"""What of an answer's form may sway a vote: its length, headers, lists and bold, counted as LMArena does. Pure."""

from __future__ import annotations

import re
from typing import Final

FEATURES: Final = ("characters", "headers", "lists", "bold")

_CODE_BLOCK: Final = re.compile(r"^(`{3,}|~{3,}).*?(?:^\1`*~*\s*$|\Z)", re.MULTILINE | re.DOTALL)
_HEADER: Final = re.compile(r"^ {0,3}#{1,6}\s+\S", re.MULTILINE)
_LIST_ITEM: Final = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])\s+\S", re.MULTILINE)
_BOLD: Final = re.compile(r"\*\*(?=\S)[^*\n]+\*\*|__(?=\S)[^_\n]+__")


def count_style(answer: str) -> dict[str, int]:
    """The answer's FEATURES. What stands in code blocks counts as length alone."""
    prose = _CODE_BLOCK.sub("", answer)
    return {
        "characters": len(answer),
        "headers": len(_HEADER.findall(prose)),
        "lists": len(_LIST_ITEM.findall(prose)),
        "bold": len(_BOLD.findall(prose)),
    }
