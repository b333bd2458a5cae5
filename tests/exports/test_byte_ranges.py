"""Which part of a file a request asks for, against the whole read and cut in Python."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.exports.byte_ranges import ByteRange, RangeNotSatisfiable, asked_range, read_part

DATA = bytes(range(10))


def read(header: str, if_range: str = "") -> bytes:
    part = asked_range(header, if_range, '"tag"', len(DATA))
    return DATA if part is None else b"".join(read_part(io.BytesIO(DATA), part))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", DATA),
        ("bytes=0-", DATA),
        ("bytes=4-", DATA[4:]),
        ("bytes=2-3", DATA[2:4]),
        ("bytes=8-99", DATA[8:]),
        ("bytes=-3", DATA[-3:]),
        ("bytes=-99", DATA),
        ("bytes=3-2", DATA),
        ("bytes=0-1,4-5", DATA),
        ("bytes=-", DATA),
        ("lines=0-1", DATA),
        ("bytes=a-b", DATA),
    ],
)
def test_a_range_is_what_rfc_9110_says(header: str, expected: bytes) -> None:
    assert read(header) == expected


def test_another_version_of_the_file_is_sent_whole() -> None:
    assert read("bytes=4-", '"tag"') == DATA[4:]
    assert read("bytes=4-", '"older"') == DATA


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        asked_range(header, "", '"tag"', len(DATA))


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_download_that_breaks_off_anywhere_resumes_to_the_whole(data: bytes, draw: st.DataObject) -> None:
    place = draw.draw(st.integers(0, len(data) - 1))
    part = asked_range(f"bytes={place}-", "", "", len(data))
    assert part == ByteRange(place, len(data) - 1)
    assert data[:place] + b"".join(read_part(io.BytesIO(data), part)) == data
