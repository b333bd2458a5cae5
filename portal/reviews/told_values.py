"""Values out of the history as people read them: lists with commas, pairs with colons, yes and no. Pure."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

_NONE: Final = "-"
_LITERALS: Final = {"None": None, "True": True, "False": False}


def plain_words(value: object) -> str:
    """A value as it is kept, in no language: what it holds, without the brackets and quotes of a program."""
    match value:
        case dict():
            return "; ".join(f"{key}: {plain_words(each)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(map(plain_words, value))
        case _:
            return str(value)


def told_value(value: object, labels: Mapping[Any, Any] | None = None, *, is_text: bool = False) -> str:
    """A kept value in words; `labels` are those of a field's choices. Empty for what says nothing.

    `is_text`: somebody wrote it, so that a title "None" is that.
    """
    labels = labels or {}
    if isinstance(value, str) and not is_text:
        value = _read(value)
    if value is None or value in ("", [], (), {}):
        return ""
    match value:
        case bool():
            return _("yes") if value else _("no")
        case dict():
            return "; ".join(f"{key}: {told_value(each) or _NONE}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(told_value(each, labels) or _NONE for each in value)
        case _:
            return str(labels.get(value, value) if isinstance(value, Hashable) else value)


def _read(text: str) -> Any:
    """What a program's notation stands for, in which earlier versions kept lists; any other text is itself.

    A set is none of what was kept: somebody wrote braces.
    """
    if text in _LITERALS:
        return _LITERALS[text]
    if text[:1] + text[-1:] in {"[]", "{}", "()"}:
        try:
            found = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return text
        return found if isinstance(found, list | tuple | dict) else text
    return text
