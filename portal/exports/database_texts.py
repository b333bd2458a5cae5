"""Ids, times and JSON as texts that the database writes: Python takes longer for them than for the rest of a row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, TextField
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler

from portal.exports.rows import iso_utc

_GROUPS: Final = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
_TO_SECONDS: Final = len("2026-05-01 12:00:00")
_TO_MICROSECONDS: Final = len("2026-05-01 12:00:00.123456")


class PlainText(Cast):
    """A time or JSON as the database writes it."""

    def __init__(self, expression: Any) -> None:
        super().__init__(expression, TextField())


class IdText(Func):
    """A UUID as `str` writes it, also where the database keeps 32 digits."""

    template = "(%(expressions)s)::text"
    arity = 1
    output_field = TextField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """The groups of digits with hyphens between them."""
        digits, params = compiler.compile(self.get_source_expressions()[0])
        groups = " || '-' || ".join(f"substr({digits}, {first}, {length})" for first, length in _GROUPS)
        return f"({groups})", tuple(params) * len(_GROUPS)


def iso_text(text: str) -> str:
    """What `iso_utc` says of a time that the database wrote: put together out of the text where it is in UTC."""
    moment = text.removesuffix("+00")
    if len(moment) == _TO_MICROSECONDS and moment[_TO_SECONDS + 1 :].isdigit():
        return f"{moment[:10]}T{moment[11:]}Z"
    if len(moment) == _TO_SECONDS:
        return f"{moment[:10]}T{moment[11:]}.000000Z"
    return iso_utc(moment_of(text))


def moment_of(text: str) -> datetime:
    """A time that the database wrote: SQLite without its zone, which is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
