"""Single values out of JSON that came with weights and may hold anything: of the right type, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

MAX_TEXT_CHARACTERS: Final = 200
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def integer_in(config: Mapping[str, Any], key: str) -> int | None:
    """A whole number above 0 that JavaScript could hold too; None for anything else."""
    value = config.get(key)
    return value if type(value) is int and 0 < value < 2**53 else None


def text_in(config: Mapping[str, Any], key: str) -> str:
    """A text, cut at MAX_TEXT_CHARACTERS; empty for anything else."""
    value = config.get(key)
    return value[:MAX_TEXT_CHARACTERS] if is_storable(value) else ""


def is_storable(value: Any) -> TypeGuard[str]:
    """Text that every database can keep: JSON may hide half a surrogate pair or a NUL in it."""
    return isinstance(value, str) and not _UNSTORABLE.search(value)


def first_text(value: Any) -> str:
    """The first text of a list; empty for anything else."""
    return text_in({"first": value[0]}, "first") if isinstance(value, list) and value else ""
