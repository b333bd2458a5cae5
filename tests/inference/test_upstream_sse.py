"""The event reader: any cutting of the bytes gives the same events, and a hostile stream meets a bound."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.upstream_sse import ServerEvent, ServerEventReader, StreamMalformed

LINES = st.lists(
    st.one_of(
        st.text(max_size=20).map(lambda text: "data: " + text.replace("\r", "").replace("\n", "")),
        st.sampled_from(["data", "data:", "data:x", "event: error", ": a comment", "id: 7", "retry: 10", "", "", "🚀"]),
    ),
    max_size=12,
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def read(pieces: list[bytes]) -> list[ServerEvent]:
    reader = ServerEventReader()
    return [event for piece in pieces for event in reader.push(piece)]


def push_often(reader: ServerEventReader, piece: bytes) -> None:
    for _ in range(2_000):
        reader.push(piece)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(borders)]


@given(st.lists(st.tuples(LINES, ENDS), max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cutting_of_the_bytes_gives_the_same_events(blocks: list, places: list[int]) -> None:
    data = b"".join((line + end).encode() for lines, end in blocks for line in [*lines, "", ""])
    whole = read([data])
    assert read(cut(data, places)) == whole
    assert read([bytes([byte]) for byte in data]) == whole


@given(st.lists(st.text(min_size=1, max_size=30), max_size=8), ENDS, st.lists(st.integers(0, 10_000), max_size=12))
def test_what_was_written_is_what_is_read(texts: list[str], end: str, places: list[int]) -> None:
    texts = [text.replace("\r", "").replace("\n", "") for text in texts]
    data = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    assert [event.data for event in read(cut(data, places))] == texts


def test_lines_of_one_event_are_joined_and_its_name_is_kept() -> None:
    assert read([b"\xef\xbb\xbfevent: error\ndata: a\ndata: b\n\ndata: c\n\n"]) == [
        ServerEvent("a\nb", "error"),
        ServerEvent("c"),
    ]


def test_an_event_that_the_end_cuts_off_is_none() -> None:
    assert read([b"data: whole\n\ndata: half\n"]) == [ServerEvent("whole")]


@pytest.mark.parametrize("line", [b"data: ", b": ", b"x", b"event: "])
def test_a_line_without_an_end_meets_the_bound(line: bytes) -> None:
    reader = ServerEventReader(max_event_bytes=1_000)
    with pytest.raises(StreamMalformed, match="1,000 bytes"):
        push_often(reader, line)


def test_an_event_of_endless_lines_meets_the_bound() -> None:
    reader = ServerEventReader(max_event_bytes=1_000)
    with pytest.raises(StreamMalformed, match="1,000 bytes"):
        push_often(reader, b"data: x\n")


def test_endless_comments_are_kept_nowhere() -> None:
    reader = ServerEventReader(max_event_bytes=1_000)
    for _ in range(2_000):
        assert reader.push(b": still here\n\n") == []


def test_what_is_not_utf8_is_refused() -> None:
    with pytest.raises(StreamMalformed, match="UTF-8"):
        read([b"data: \xff\n\n"])
