"""Rows as text: JSON Lines, and CSV that a spreadsheet opens without running it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from portal.exports.rows import FeedbackRow
from portal.feedback.answer_quality import QUESTIONS

# A cell that begins with one of these is a formula to spreadsheets; the apostrophe itself is in the list so that
# taking one leading apostrophe away always gives the text back.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
LIST_SEPARATOR: Final = "|"
ANSWER_COLUMNS: Final = tuple(question["key"] for question in QUESTIONS)
CSV_COLUMNS: Final = (
    "id", "created_at", "changed_at", "version", "contributor", "questionnaire", "questionnaire_version",
    *ANSWER_COLUMNS, "other_answers",
    "generation", "card", "variant", "model", "turn", "prompt", "output", "finish_reason",
    "params", "seed", "weights_sha256", "provenance",
)  # fmt: skip


class Encoder(Protocol):
    """Turns rows into text; `header` comes before the first and once."""

    def header(self) -> str: ...

    def encode(self, rows: Iterable[FeedbackRow]) -> str: ...


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A text format: its name in addresses, its media type, its encoder."""

    name: str
    media_type: str
    encoder: Encoder


class JsonLines:
    """One JSON object per line (https://jsonlines.org), each the row as the API gives it."""

    def header(self) -> str:
        return ""

    def encode(self, rows: Iterable[FeedbackRow]) -> str:
        return "".join(f"{_one_line(row)}\n" for row in rows)


class Csv:
    """RFC 4180: CRLF, a header, quotes where needed. Objects are JSON, lists of choices are separated by `|`."""

    def header(self) -> str:
        return _csv([CSV_COLUMNS])

    def encode(self, rows: Iterable[FeedbackRow]) -> str:
        return _csv([_cells(row) for row in rows])


FORMATS: Final = {
    "jsonl": ExportFormat("jsonl", "application/jsonl", JsonLines()),
    "csv": ExportFormat("csv", "text/csv", Csv()),
}


def neutralised(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _one_line(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Valid inside JSON, but line ends to many readers of lines.
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")


def _csv(lines: Iterable[Iterable[Any]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(lines)
    return buffer.getvalue()


def _cells(row: FeedbackRow) -> list[Any]:
    answers = dict(row["answers"])
    flat: dict[str, Any] = {**row, **{key: answers.pop(key, None) for key in ANSWER_COLUMNS}, "other_answers": answers}
    return [_cell(flat[column]) for column in CSV_COLUMNS]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return neutralised(value)
    if isinstance(value, list):
        return LIST_SEPARATOR.join(value)
    return _one_line(value) if isinstance(value, dict) else value
