"""`fields=`: only some members of each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def chosen_fields(text: str | None, members: Collection[str]) -> tuple[str, ...]:
    """The names in the parameter, all without it. The operation's parameter lets through those that there are."""
    return tuple(members) if text is None else tuple(text.split(","))


def only_fields(row: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """The row's members of these names, in the row's order."""
    return {name: value for name, value in row.items() if name in fields}
