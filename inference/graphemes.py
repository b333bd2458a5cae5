"""Shows text in whole graphemes: a letter with its accents, an emoji of several, a flag, a syllable is never halved."""

from __future__ import annotations

import unicodedata
from typing import Final

import regex  # type: ignore[import-untyped]

# A grapheme has no longest form: text that stacks marks without end is shown in pieces of this length.
LONGEST: Final = 64
_GRAPHEME: Final = regex.compile(r"\X")


class Graphemes:
    """Text goes in piecewise; all but the last grapheme, which what follows may belong to, comes out."""

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> str:
        """What can be shown now."""
        self._held += text
        at = self._settled()
        shown, self._held = self._held[:at], self._held[at:]
        return shown

    def flush(self) -> str:
        """The last grapheme: nothing follows."""
        shown, self._held = self._held, ""
        return shown

    def _settled(self) -> int:
        held = self._held
        if not held:
            return 0
        # Nothing joins a line's end or another control but the second half of a Windows line end.
        if held[-1] != "\r" and unicodedata.category(held[-1]) in {"Cc", "Zl", "Zp"}:
            return len(held)
        if held.isascii():
            return len(held) - 1
        last = 0
        for match in _GRAPHEME.finditer(held):
            last = match.start()
        return last if len(held) - last <= LONGEST else len(held)
