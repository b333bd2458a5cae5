"""Rows without what looks like personal data: free texts with each finding replaced by its kind."""

from __future__ import annotations

from typing import Any, Final

from portal.exports.schema import Column, Kind, Row, Schema
from portal.feedback.personal_data import MAX_CHARACTERS, find_personal_data, redact

# Texts that people or models wrote; ids, names and digests are left as they are.
FREE_TEXT: Final = frozenset({"prompt", "output", "text", "value", "answers", "other_answers", "generations"})


def redacted(row: Row, schema: Schema) -> Row:
    """The row with its free texts redacted."""
    return {column.name: _all(row[column.name]) if is_free(column) else row[column.name] for column in schema.columns}


def is_free(column: Column) -> bool:
    """Whether people or models wrote what the column holds."""
    return column.kind == Kind.MESSAGES or column.name in FREE_TEXT or column.name.startswith("answer_")


def _all(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_all(each) for each in value]
    if isinstance(value, dict):
        return {
            key: each if key in {"id", "parent", "model", "submissions"} else _all(each) for key, each in value.items()
        }
    return value


def _text(text: str) -> str:
    # The finder looks at so many characters at a time.
    parts = (text[start : start + MAX_CHARACTERS] for start in range(0, len(text), MAX_CHARACTERS))
    return "".join(redact(part, find_personal_data(part)) for part in parts)
