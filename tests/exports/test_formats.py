"""Rows as text, checked by reading them back with the standard library's own readers."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.exports.cursors import InvalidCursor, Position
from portal.exports.formats import ANSWER_COLUMNS, CSV_COLUMNS, FORMATS, FORMULA_STARTS, neutralised
from portal.exports.rows import FeedbackRecord, FeedbackRow, build_row, iso_utc, pseudonym

SALT = b"salt"

texts = st.text(st.characters(codec="utf-8"), max_size=40)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
objects = st.dictionaries(texts, scalars, max_size=4)
moments = st.datetimes(timezones=st.just(UTC))
answers = st.fixed_dictionaries(
    {"thumb": st.sampled_from(["up", "down"])},
    optional={
        "helpfulness": st.integers(1, 5),
        "reasons_up": st.lists(st.sampled_from(["correct", "clear"]), min_size=1, unique=True),
        "comment": texts.filter(bool),
        "later_question": scalars,
    },
)
records = st.builds(
    FeedbackRecord,
    id=st.uuids(),
    created_at=moments,
    changed_at=moments,
    version=st.integers(1, 10**6),
    owner_id=st.none() | st.integers(1, 10**9),
    visitor=st.none() | st.uuids(),
    questionnaire=st.just("answer-quality"),
    questionnaire_version=st.integers(1, 9),
    generation=st.uuids(),
    card_owner=st.just("smol"),
    card_slug=st.just("lm2"),
    variant=st.just("bf16"),
    messages=st.lists(st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"])}), max_size=5),
    prompt=texts,
    output=texts,
    finish_reason=st.sampled_from(["stop", "length", "cancelled"]),
    params=st.fixed_dictionaries({"temperature": st.floats(0, 2)}, optional={"seed": st.integers(0, 2**63 - 1)}),
    provenance=objects,
    answers=answers,
)
rows = records.map(lambda record: build_row(record, SALT))


@given(st.lists(rows, max_size=5))
def test_json_lines_read_back_as_the_rows(given_rows: list[FeedbackRow]) -> None:
    encoder = FORMATS["jsonl"].encoder
    text = encoder.header() + encoder.encode(given_rows)
    # splitlines() splits at more than line feeds, as many readers do.
    assert [json.loads(line) for line in text.encode().decode().splitlines()] == given_rows


@given(st.lists(rows, max_size=5))
def test_csv_reads_back_as_the_rows(given_rows: list[FeedbackRow]) -> None:
    encoder = FORMATS["csv"].encoder
    text = (encoder.header() + encoder.encode(given_rows)).encode().decode()
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert tuple(header) == CSV_COLUMNS
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
    flat = {name: row.pop(name) for name in ANSWER_COLUMNS}
    row["answers"] = {name: value for name, value in flat.items() if value is not None} | row.pop("other_answers")
    for name in ("prompt", "output"):
        row[name] = row[name] or ""
    return row


@given(texts)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    cell = neutralised(text)
    assert not cell.startswith(FORMULA_STARTS[:-1])
    assert (cell.removeprefix("'") if cell else text) == text


def test_every_line_of_csv_ends_as_rfc_4180_says() -> None:
    assert FORMATS["csv"].encoder.header().endswith("provenance\r\n")


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
