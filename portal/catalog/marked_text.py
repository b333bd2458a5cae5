"""Marks passages of a text in what its Markdown becomes: safe HTML with `<mark>` where somebody marked the source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from portal.catalog.markdown import render_markdown

# Code points that Unicode keeps for a program's own use and that no text holds.
_BEGIN: Final = "\ufdd0"
_END: Final = "\ufdd1"
_SIGNS: Final = re.compile(f"([{_BEGIN}{_END}])")
_TAG: Final = re.compile(r"""(<(?:"[^"]*"|[^">])*>)""")
# What stands at a line's start before its words; a sign in front of it would make it words, too.
_LINE_START: Final = re.compile(r"(?:[ \t]*(?:[-*+>]|#{1,6}|\d{1,9}[.)])[ \t]+)+")

Span = tuple[int, int]


def render_marked(text: str, spans: Iterable[Span]) -> SafeString:
    """The text's Markdown with what the spans (code points of the source) cover in `<mark>`.

    Where marking would make other Markdown of it, as within the address of a link, the source is shown as it was typed.
    """
    wanted = [span for each in spans if (span := _narrowed(text, *each)) is not None]
    plain = render_markdown(text)
    if not wanted:
        return plain
    marked = render_markdown(_signed(text, wanted)) if not _SIGNS.search(text) else ""
    if _SIGNS.sub("", marked) != plain:
        return _as_typed(text, wanted)
    parts = _TAG.split(marked)
    if any(_SIGNS.search(tag) for tag in parts[1::2]):
        return _as_typed(text, wanted)
    return mark_safe("".join(_with_marks(parts)))  # noqa: S308 - cleaned; `<mark>` stands within its texts alone


def _narrowed(text: str, start: int, end: int) -> Span | None:
    """The span without spaces at its ends and without a line's sign; None when nothing is left or it is outside."""
    if not 0 <= start < end <= len(text):
        return None
    if (start == 0 or text[start - 1] == "\n") and (opening := _LINE_START.match(text, start, end)):
        start = opening.end()
    part = text[start:end]
    start, end = start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
    return (start, end) if start < end else None


def _signed(text: str, spans: Iterable[Span]) -> str:
    pieces = [*list(text), ""]
    for start, end in spans:
        pieces[start] = _BEGIN + pieces[start]
        pieces[end - 1] += _END
    return "".join(pieces)


def _with_marks(parts: Iterable[str]) -> Iterator[str]:
    """Tags as they are; of the texts between them, what is marked. A mark across tags becomes one in each text."""
    depth = 0
    for place, part in enumerate(parts):
        if place % 2:
            yield part
            continue
        for piece in _SIGNS.split(part):
            if piece in (_BEGIN, _END):
                depth += 1 if piece == _BEGIN else -1
            elif depth > 0 and piece.strip():
                yield f"<mark>{piece}</mark>"
            else:
                yield piece


def _as_typed(text: str, spans: Iterable[Span]) -> SafeString:
    covered = bytearray(len(text))
    for start, end in spans:
        covered[start:end] = b"\x01" * (end - start)
    edges = [0, *(place for place in range(1, len(text)) if covered[place] != covered[place - 1]), len(text)]
    html = "".join(
        f"<mark>{escape(text[start:end])}</mark>" if covered[start] else escape(text[start:end])
        for start, end in pairwise(edges)
    )
    return mark_safe(f'<div class="turn__text">{html}</div>')  # noqa: S308 - every piece is escaped
