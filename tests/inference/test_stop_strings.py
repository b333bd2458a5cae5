"""A stop string ends the text before it and no part of it is shown, however the text is cut into pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from inference.stop_strings import StopStrings


def _run(stops: list[str], pieces: list[str]) -> tuple[str, bool, int]:
    """The text shown, whether it stopped, and how many pieces were taken."""
    matcher = StopStrings(stops)
    shown = ""
    for number, piece in enumerate(pieces, 1):
        text, stopped = matcher.push(piece)
        shown += text
        if stopped:
            return shown, True, number
    return shown + matcher.flush(), False, len(pieces)


def _cut(text: str, borders: list[int]) -> list[str]:
    at = [0, *sorted(border % (len(text) + 1) for border in borders), len(text)]
    return [text[first:after] for first, after in itertools.pairwise(at)]


def _expected(stops: list[str], pieces: list[str]) -> str:
    """The text before the earliest stop string of the first piece count that holds one."""
    text = ""
    for piece in pieces:
        text += piece
        found = [text.find(stop) for stop in stops if stop in text]
        if found:
            return text[: min(found)]
    return text


small_text = st.text(alphabet="ab", max_size=30)
stop_lists = st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3)


@given(text=small_text, stops=stop_lists, borders=st.lists(st.integers(0, 40), max_size=8))
def test_the_text_shown_is_what_precedes_the_first_stop_string(text: str, stops: list[str], borders: list[int]) -> None:
    pieces = _cut(text, borders)
    shown, stopped, _ = _run(stops, pieces)
    assert shown == _expected(stops, pieces)
    assert stopped == any(stop in text for stop in stops)


@given(text=small_text, stops=stop_lists, borders=st.lists(st.integers(0, 40), max_size=8))
def test_what_is_shown_is_never_taken_back_and_holds_no_stop_string(
    text: str, stops: list[str], borders: list[int]
) -> None:
    matcher = StopStrings(stops)
    shown = ""
    for piece in _cut(text, borders):
        more, stopped = matcher.push(piece)
        shown += more
        assert not any(stop in shown for stop in stops)
        if stopped:
            break


def test_without_stop_strings_nothing_is_held_back() -> None:
    matcher = StopStrings([])
    assert matcher.push("text") == ("text", False)
    assert matcher.flush() == ""


def test_a_beginning_that_comes_to_nothing_is_shown_later() -> None:
    matcher = StopStrings(["###"])
    assert matcher.push("a##") == ("a", False)
    assert matcher.push("b") == ("##b", False)
    assert matcher.push("#") == ("", False)
    assert matcher.flush() == "#"
