"""What an export table's columns are called, hold and mean: the one source of its documentation and of its formats."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise

Row = dict[str, Any]
"""Column → value, JSON-ready: times are ISO 8601 texts in UTC, ids are texts."""


class Kind(StrEnum):
    """What a column holds; each format has its own way to write it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    # A list of texts.
    TEXTS = "texts"
    # A chat: [{"role", "content"}].
    MESSAGES = "messages"
    # Any JSON value; where a format has no such thing, its JSON text.
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `meaning` is a sentence for who reads the data; `category` says that few values repeat often."""

    name: str
    kind: Kind
    meaning: Promise | str
    is_nullable: bool = False
    category: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, in order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of one row."""
        return {
            "type": "object",
            "required": list(self.names),
            "properties": {column.name: _json_type(column) for column in self.columns},
            "additionalProperties": False,
        }


def _json_type(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {"description": str(column.meaning)}
    if column.kind == Kind.JSON:
        return described
    types: dict[Kind, str] = {
        Kind.TEXT: "string",
        Kind.INTEGER: "integer",
        Kind.NUMBER: "number",
        Kind.BOOLEAN: "boolean",
        Kind.TIME: "string",
        Kind.TEXTS: "array",
        Kind.MESSAGES: "array",
    }
    described["type"] = [types[column.kind], "null"] if column.is_nullable else types[column.kind]
    match column.kind:
        case Kind.TIME:
            described["format"] = "date-time"
        case Kind.TEXTS:
            described["items"] = {"type": "string"}
        case Kind.MESSAGES:
            texts = {"role": {"type": "string"}, "content": {"type": "string"}}
            described["items"] = {"type": "object", "required": list(texts), "properties": texts}
    return described
