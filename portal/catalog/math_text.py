"""Leaves TeX as it was written: Markdown would take its underscores for emphasis and eat its backslashes."""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

# Opening → closing. `$` needs more care than the others: it is also a currency.
_PAIRS: Final = {"$$": "$$", r"\(": r"\)", r"\[": r"\]"}
MAX_CHARACTERS: Final = 2_000


def keep_math(parser: MarkdownIt) -> None:
    """Teach a parser `$…$`, `$$…$$`, `\\(…\\)` and `\\[…\\]`; each becomes a `math` token with its source."""
    parser.inline.ruler.before("escape", "math", _inline)
    parser.block.ruler.before("fence", "math_block", _block, {"alt": ["paragraph", "blockquote", "list"]})


def _inline(state: StateInline, silent: bool) -> bool:
    opening = next((each for each in (*_PAIRS, "$") if state.src.startswith(each, state.pos)), None)
    if opening is None:
        return False
    closing = _PAIRS.get(opening, "$")
    begin = state.pos + len(opening)
    end = state.src.find(closing, begin, begin + MAX_CHARACTERS)
    if end <= begin or end + len(closing) > state.posMax:
        return False
    content = state.src[begin:end]
    if opening == "$" and not _is_math(content, state.src[end + 1 : end + 2]):
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[state.pos : end + len(closing)]
    state.pos = end + len(closing)
    return True


def _is_math(content: str, behind: str) -> bool:
    """Pandoc's rule, by which "$5 and $6" stays money."""
    return not (content[0].isspace() or content[-1].isspace() or "\n\n" in content or behind.isdecimal())


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]].strip()
    opening = next((each for each in ("$$", r"\[") if first.startswith(each)), None)
    if opening is None:
        return False
    closing = _PAIRS[opening]
    last = start
    body = first[len(opening) :]
    while not body.rstrip().endswith(closing):
        last += 1
        if last >= end or len(body) > MAX_CHARACTERS:
            return False
        body += "\n" + state.src[state.bMarks[last] : state.eMarks[last]]
    if silent:
        return True
    token = state.push("math_block", "", 0)
    token.content = opening + body
    token.map = [start, last + 1]
    state.line = last + 1
    return True
