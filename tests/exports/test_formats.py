"""Rows as files, checked by reading them back with the standard library's, pyarrow's and zlib's own readers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import uuid
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from portal.exports.compression import CODINGS, accepted_coding, compressed
from portal.exports.cursors import InvalidCursor, Position
from portal.exports.formats import FORMATS, FORMULA_STARTS, neutralised
from portal.exports.records import GivenAnswer, SubmissionRecord
from portal.exports.rows import build_row, iso_utc, pseudonym
from portal.exports.schema import Column, Kind, Row, Schema
from portal.exports.tables.feedback import ANSWER_KEYS, FLAT_SCHEMA, SCHEMA, flatten
from portal.exports.tables.table import Plan

SALT = b"salt"

texts = st.text(st.characters(codec="utf-8"), max_size=40)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
objects = st.dictionaries(texts, scalars, max_size=4)
moments = st.datetimes(timezones=st.just(UTC))
times = moments.map(iso_utc)
ids = st.uuids().map(str)


def answered(kind: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[GivenAnswer]:
    return values.map(lambda value: GivenAnswer(kind, value))


answers = st.fixed_dictionaries(
    {"thumb": answered("thumb", st.sampled_from(["up", "down"]))},
    optional={
        "helpfulness": answered("rating", st.integers(1, 5)),
        "reasons_up": answered("choices", st.lists(st.sampled_from(["correct", "clear"]), min_size=1, unique=True)),
        "comment": answered("text", texts.filter(bool)),
        "later_question": answered("matrix", scalars),
    },
)
records = st.builds(
    SubmissionRecord,
    id=ids,
    created_at=times,
    changed_at=times,
    version=st.integers(1, 10**6),
    owner_id=st.none() | st.integers(1, 10**9),
    visitor=st.none() | ids,
    target=st.just("generation"),
    questionnaire=st.just("answer-quality"),
    questionnaire_version=st.integers(1, 9),
    consent=st.sampled_from(["publish", "quote"]),
    licence=texts,
    language=st.sampled_from(["", "en", "de"]),
    review_state=st.just("unreviewed"),
    campaign=st.none(),
    comparison=st.none(),
    generation=ids,
    conversation=ids,
    card_owner=st.just("smol"),
    card_slug=st.just("lm2"),
    variant=st.just("bf16"),
    messages=st.lists(st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"])}), max_size=5),
    prompt=texts,
    output=texts,
    kind=st.just("chat"),
    finish_reason=st.sampled_from(["stop", "length", "cancelled"]),
    params=st.fixed_dictionaries({"temperature": st.floats(0, 2)}, optional={"seed": st.integers(0, 2**63 - 1)}),
    provenance=objects,
    answers=answers,
)
rows = records.map(lambda record: cast("Row", build_row(record, SALT)))


def written(name: str, given_rows: list[Row], chunk: int = 2) -> bytes:
    chunks = (given_rows[start : start + chunk] for start in range(0, len(given_rows), chunk))
    plan = Plan(SCHEMA, chunks, FLAT_SCHEMA, flatten)
    pieces = list(plan.pieces(FORMATS[name]))
    assert sum(count for _piece, count in pieces) == len(given_rows)
    return b"".join(piece for piece, _count in pieces)


@given(st.lists(rows, max_size=5))
def test_json_lines_read_back_as_the_rows(given_rows: list[Row]) -> None:
    # splitlines() splits at more than line feeds, as many readers do.
    assert [json.loads(line) for line in written("jsonl", given_rows).decode().splitlines()] == given_rows


@given(st.lists(rows, max_size=5))
def test_json_reads_back_as_the_rows(given_rows: list[Row]) -> None:
    assert json.loads(written("json", given_rows)) == given_rows


@given(st.lists(rows, max_size=5))
def test_csv_reads_back_as_the_rows(given_rows: list[Row]) -> None:
    header, *lines = csv.reader(io.StringIO(written("csv", given_rows).decode(), newline=""), strict=True)
    assert tuple(header) == FLAT_SCHEMA.names
    assert [read_back(dict(zip(header, line, strict=True))) for line in lines] == given_rows


def read_back(cells: dict[str, str]) -> dict[str, Any]:
    """The documented way back from a line of CSV."""
    row: dict[str, Any] = {name: text.removeprefix("'") if text else None for name, text in cells.items()}
    for name in ("version", "questionnaire_version", "turn", "seed", "helpfulness"):
        row[name] = int(row[name]) if row[name] else None
    for name in ("params", "weights_sha256", "provenance", "other_answers"):
        row[name] = json.loads(row[name])
    for name in ("reasons_up", "reasons_down"):
        row[name] = row[name].split("|") if row[name] else None
    flat = {name: row.pop(name) for name in ANSWER_KEYS}
    row["answers"] = {name: value for name, value in flat.items() if value is not None} | row.pop("other_answers")
    for name in ("prompt", "output", "licence", "language"):
        row[name] = row[name] or ""
    return row


@given(st.lists(rows, max_size=5))
@settings(max_examples=25)
def test_parquet_reads_back_typed(given_rows: list[Row]) -> None:
    table = parquet.read_table(io.BytesIO(written("parquet", given_rows)))
    assert tuple(table.column_names) == FLAT_SCHEMA.names
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    for found, row in zip(table.to_pylist(), given_rows, strict=True):
        flat = flatten(row)
        for column in FLAT_SCHEMA.columns:
            expected = flat[column.name]
            if column.kind == Kind.TIME:
                assert iso_utc(found[column.name]) == expected
            elif column.kind == Kind.JSON:
                assert json.loads(found[column.name] or "null") == expected
            else:
                assert found[column.name] == expected


def test_parquet_is_dictionary_encoded_where_values_repeat_and_zstd_throughout() -> None:
    columns = (Column("name", Kind.TEXT, "few", category=True), Column("chat", Kind.MESSAGES, "many"))
    encoder = FORMATS["parquet"].encoder(Schema(columns))
    chat = [{"role": "user", "content": "hello"}]
    data = encoder.begin() + encoder.encode([{"name": "a", "chat": chat}] * 50) + encoder.end()
    group = parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    assert {group.column(place).compression for place in range(group.num_columns)} == {"ZSTD"}
    assert group.column(0).dictionary_page_offset is not None
    assert parquet.read_table(io.BytesIO(data)).to_pylist()[0]["chat"] == chat


@given(st.lists(st.binary(max_size=300), max_size=8), st.sampled_from([None, *CODINGS]))
def test_compressed_pieces_read_back_as_the_whole(pieces: list[bytes], coding: str | None) -> None:
    data = b"".join(compressed(iter(pieces), coding))
    if coding == "gzip":
        data = gzip.decompress(data)
    elif coding == "zstd":
        data = pa.input_stream(pa.BufferReader(data), compression="zstd").read()
    assert data == b"".join(pieces)


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip, deflate, br", "gzip"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *", "gzip"),
        ("GZIP;Q=0", None),
        ("gzip;q=nonsense", None),
    ],
)
def test_the_coding_is_what_the_client_likes_best(header: str, coding: str | None) -> None:
    assert accepted_coding(header) == coding


@given(texts)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    cell = neutralised(text)
    assert not cell.startswith(FORMULA_STARTS[:-1])
    assert (cell.removeprefix("'") if cell else text) == text


def test_every_line_of_csv_ends_as_rfc_4180_says() -> None:
    assert FORMATS["csv"].encoder(SCHEMA).begin().endswith(b"provenance\r\n")


@given(moments, st.uuids())
def test_a_cursor_is_short_and_reads_back(created_at: datetime, id_: uuid.UUID) -> None:
    position = Position(created_at, id_)
    assert len(position.encoded()) == 32
    assert Position.decoded(position.encoded()) == position


@given(st.text(max_size=60) | st.text("abcXYZ019-_=", min_size=30, max_size=34))
def test_any_other_text_is_no_cursor_or_gives_itself_back(text: str) -> None:
    try:
        position = Position.decoded(text)
    except InvalidCursor:
        return
    assert position.encoded() == text


@given(moments, moments)
def test_times_sort_as_their_texts(one: datetime, other: datetime) -> None:
    assert (one < other) == (iso_utc(one) < iso_utc(other))


@given(st.integers(1, 10**9), st.uuids())
def test_a_pseudonym_is_stable_and_says_nothing_without_the_salt(owner_id: int, visitor: uuid.UUID) -> None:
    assert pseudonym(SALT, owner_id, None) == pseudonym(SALT, owner_id, None)
    assert pseudonym(SALT, owner_id, None) != pseudonym(b"other", owner_id, None)
    assert pseudonym(SALT, owner_id, None) != pseudonym(SALT, owner_id + 1, None)
    assert str(visitor) not in str(pseudonym(SALT, None, visitor))
    assert pseudonym(SALT, None, None) is None
