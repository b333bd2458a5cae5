"""Marks code by its language with Pygments' classes, which our stylesheet colours: no style attribute is needed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from django.utils.html import escape
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

MAX_CHARACTERS: Final = 20_000
"""Longer code is left plain: some lexers are slow on what was made to be slow for them."""
# Pygments' short names of token kinds.
CLASS: Final = re.compile(r"^[a-z][a-z0-9]{0,2}$")
_FORMATTER: Final = HtmlFormatter(nowrap=True)


def highlight_code(code: str, language: str) -> str:
    """The code as HTML with classes, or only escaped where its language is not known. Never raises."""
    lexer = _lexer(language.lower()) if len(code) <= MAX_CHARACTERS else None
    if lexer is None:
        return str(escape(code))
    return str(highlight(code, lexer, _FORMATTER))


@lru_cache(maxsize=128)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
