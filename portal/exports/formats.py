"""Rows as bytes: JSON, JSON Lines, CSV that a spreadsheet opens without running it, and typed Parquet.

An encoder is made for one export. What it returns, joined, is the file; it holds at most one chunk of rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from portal.exports.schema import Column, Kind, Row, Schema

if TYPE_CHECKING:
    import pyarrow as pa

# A cell that begins with one of these is a formula to spreadsheets; the apostrophe itself is in the list so that
# taking one leading apostrophe away always gives the text back.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
LIST_SEPARATOR: Final = "|"
# Parquet's footer holds a few hundred bytes per row group and column, so a group is not made for every small chunk. Nor
# is more held in memory than this, however long the texts are.
PARQUET_GROUP_ROWS: Final = 20_000
PARQUET_GROUP_BYTES: Final = 8 * 2**20
# Valid inside JSON, but line ends to many readers of lines.
_LINE_ENDS: Final = tuple((character.encode(), rb"\u%04x" % ord(character)) for character in "\u2028\u2029\x85")


class Encoder(Protocol):
    """Turns rows into a file's bytes: `begin` once, `encode` per chunk, `end` once."""

    def begin(self) -> bytes: ...

    def encode(self, rows: Sequence[Row]) -> bytes: ...

    def end(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A file format: its name in addresses, its media type, its encoder; `is_text` when compressing it is worth it."""

    name: str
    media_type: str
    encoder: Callable[[Schema], Encoder]
    is_text: bool = True


class JsonLines:
    """One JSON object per line (https://jsonlines.org)."""

    def __init__(self, schema: Schema) -> None:
        pass

    def begin(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Row]) -> bytes:
        return _on_one_line(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))

    def end(self) -> bytes:
        return b""


class JsonArray:
    """One JSON array of all rows."""

    def __init__(self, schema: Schema) -> None:
        self._separator = b""

    def begin(self) -> bytes:
        return b"["

    def encode(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        text = self._separator + b",\n".join(map(orjson.dumps, rows))
        self._separator = b",\n"
        return text

    def end(self) -> bytes:
        return b"]\n"


class Csv:
    """RFC 4180: CRLF, a header, quotes where needed. Objects are JSON, lists of texts are separated by `|`."""

    def __init__(self, schema: Schema) -> None:
        self._cells = [(column.name, _CELLS.get(column.kind, _as_it_is)) for column in schema.columns]

    def begin(self) -> bytes:
        return _csv([[name for name, _cell in self._cells]])

    def encode(self, rows: Sequence[Row]) -> bytes:
        return _csv([[_empty_or(cell, row[name]) for name, cell in self._cells] for row in rows])

    def end(self) -> bytes:
        return b""


class Parquet:
    """Apache Parquet: typed, texts that repeat dictionary-encoded, zstd; what is left to JSON is JSON text."""

    def __init__(self, schema: Schema) -> None:
        # Here and not above: only who writes Parquet pays for loading it.
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        self._columns = schema.columns
        self._types = pa.schema(
            [
                pa.field(
                    column.name,
                    _arrow_type(column),
                    column.is_nullable or column.kind == Kind.JSON,
                    metadata={"meaning": str(column.meaning)},
                )
                for column in schema.columns
            ]
        )
        self._sink = Sink()
        self._waiting: list[pa.RecordBatch] = []
        self._writer = pq.ParquetWriter(
            self._sink,
            self._types,
            compression="zstd",
            use_dictionary=[column.name for column in schema.columns if column.category],
        )

    def begin(self) -> bytes:
        return self._sink.taken()

    def encode(self, rows: Sequence[Row]) -> bytes:
        if rows:
            self._waiting.append(self._batch(rows))
        waiting_rows = sum(batch.num_rows for batch in self._waiting)
        waiting_bytes = sum(batch.nbytes for batch in self._waiting)
        if waiting_rows >= PARQUET_GROUP_ROWS or waiting_bytes >= PARQUET_GROUP_BYTES:
            self._write_group()
        return self._sink.taken()

    def end(self) -> bytes:
        if self._waiting:
            self._write_group()
        self._writer.close()
        return self._sink.taken()

    def _batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        import pyarrow as pa  # noqa: PLC0415

        arrays = [
            pa.array([_ARROW_VALUES.get(column.kind, _as_it_is)(row[column.name]) for row in rows], field.type)
            for column, field in zip(self._columns, self._types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._types)

    def _write_group(self) -> None:
        import pyarrow as pa  # noqa: PLC0415

        group = pa.Table.from_batches(self._waiting, schema=self._types)
        self._writer.write_table(group, row_group_size=group.num_rows)
        self._waiting = []


class Sink(io.RawIOBase):
    """A file that can only be written to; what was written is taken away in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


FORMATS: Final = {
    each.name: each
    for each in (
        ExportFormat("json", "application/json", JsonArray),
        ExportFormat("jsonl", "application/jsonl", JsonLines),
        ExportFormat("csv", "text/csv", Csv),
        ExportFormat("parquet", "application/vnd.apache.parquet", Parquet, is_text=False),
    )
}


def neutralised(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _on_one_line(text: bytes) -> bytes:
    if text.isascii():
        return text
    for character, escaped in _LINE_ENDS:
        text = text.replace(character, escaped)
    return text


def _json(value: Any) -> str:
    return _on_one_line(orjson.dumps(value)).decode()


def _csv(lines: Iterable[Iterable[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(lines)
    return buffer.getvalue().encode()


def _empty_or(cell: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else cell(value)


def _as_it_is(value: Any) -> Any:
    return value


def _json_cell(value: Any) -> Any:
    # A text needs no quotes to be told from an object; a number stays one.
    if isinstance(value, str):
        return neutralised(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _json(value)


_CELLS: Final[dict[Kind, Callable[[Any], Any]]] = {
    Kind.TEXT: neutralised,
    Kind.TEXTS: lambda texts: neutralised(LIST_SEPARATOR.join(texts)),
    Kind.MESSAGES: _json,
    Kind.JSON: _json_cell,
    Kind.BOOLEAN: lambda value: "true" if value else "false",
}
_ARROW_VALUES: Final[dict[Kind, Callable[[Any], Any]]] = {
    Kind.TIME: lambda text: None if text is None else datetime.fromisoformat(text),
    Kind.JSON: lambda value: None if value is None else orjson.dumps(value).decode(),
}


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415

    types = {
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIME: pa.timestamp("us", "UTC"),
        Kind.TEXTS: pa.list_(pa.string()),
        Kind.MESSAGES: pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
    }
    return types.get(column.kind, pa.string())
