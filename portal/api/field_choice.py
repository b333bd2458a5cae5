"""`fields=`: only some members of each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.utils.translation import gettext as _

from portal.exports.criteria import InvalidCriterion


def chosen_fields(text: str | None, members: Collection[str]) -> tuple[str, ...]:
    """The names in the parameter, all without it. Raises InvalidCriterion for one that is none of `members`."""
    if text is None:
        return tuple(members)
    names = text.split(",")
    unknown = [name for name in names if name not in members]
    if unknown:
        raise InvalidCriterion(
            "fields",
            _("There is no field “%(name)s”. There are: %(names)s.")
            % {"name": unknown[0][:80], "names": ", ".join(members)},
        )
    return tuple(names)


def only_fields(row: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """The row's members of these names, in the row's order."""
    return {name: value for name, value in row.items() if name in fields}
