"""A name for addresses out of a title, or a question's key out of its text, where nobody chose one: short and new."""

from __future__ import annotations

from collections.abc import Callable, Container
from itertools import count
from typing import Any

from django.db.models import QuerySet
from django.utils.text import slugify

from portal.feedback.question_options import MAX_KEY_CHARACTERS

MAX_CHARACTERS = 80


def proposed_name(title: str, named: QuerySet[Any], otherwise: str) -> str:
    """The title in small letters, digits and -, `otherwise` where it has none of them; with a number where it is taken.

    `named` are the rows whose `slug` it must not be. portal/static/steelyard/names.js shows the same while one types.
    """
    return _new(slugify(title), MAX_CHARACTERS, otherwise, lambda name: named.filter(slug=name).exists())


def proposed_key(text: str, taken: Container[str]) -> str:
    """A question's key that is none of `taken`, out of its text; names.js shows it too."""
    return _new(slugify(text), MAX_KEY_CHARACTERS, "question", lambda key: key in taken)


def _new(name: str, longest: int, otherwise: str, is_taken: Callable[[str], bool]) -> str:
    name = _cut(name, longest) or otherwise
    if not is_taken(name):
        return name
    for number in count(2):
        numbered = f"{_cut(name, longest - len(f'-{number}'))}-{number}"
        if not is_taken(numbered):
            return numbered
    raise AssertionError("numbers do not end")


def _cut(name: str, length: int) -> str:
    return name[:length].strip("-_")
