"""A name for addresses out of a title, where nobody chose one: short, and one that nothing has yet."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.db.models import QuerySet
from django.utils.text import slugify

MAX_CHARACTERS = 80


def proposed_name(title: str, named: QuerySet[Any], otherwise: str) -> str:
    """The title in small letters, digits and -, `otherwise` where it has none of them; with a number where it is taken.

    `named` are the rows whose `slug` it must not be. portal/static/steelyard/names.js shows the same while one types.
    """
    name = _cut(slugify(title), MAX_CHARACTERS) or otherwise
    if not named.filter(slug=name).exists():
        return name
    for number in count(2):
        numbered = f"{_cut(name, MAX_CHARACTERS - len(f'-{number}'))}-{number}"
        if not named.filter(slug=numbered).exists():
            return numbered
    raise AssertionError("numbers do not end")


def _cut(name: str, length: int) -> str:
    return name[:length].strip("-_")
