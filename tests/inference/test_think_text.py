"""`<think>` in the text: told from the answer however the text is cut, and only where it begins one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.events import Channel
from inference.think_text import ThinkText

PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "</", "think>", "a", " ", "\n", "<thin", "k>", "é"]), max_size=12
)


def told(pieces: list[str]) -> dict[Channel, str]:
    text = ThinkText()
    parts = [*itertools.chain.from_iterable(text.push(piece) for piece in pieces), *text.flush()]
    return {channel: "".join(part for where, part in parts if where is channel) for channel in Channel}


@given(PIECES, st.lists(st.integers(0, 100), max_size=8))
def test_any_cutting_tells_the_same(pieces: list[str], places: list[int]) -> None:
    whole = "".join(pieces)
    borders = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    cut = [whole[start:end] for start, end in itertools.pairwise(borders)]
    assert told(cut) == told([whole]) == told(list(whole))


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>Hm</think>Yes", "Hm", "Yes"),
        ("\n<think>\nHm\n</think>\n\nYes", "\nHm\n", "\n\nYes"),
        ("<think>never closed </thi", "never closed </thi", ""),
        ("The tag <think> opens, </think> closes", "", "The tag <think> opens, </think> closes"),
        ("  indented", "", "  indented"),
        ("<thin", "", "<thin"),
        ("<think></think>Yes</think>", "", "Yes</think>"),
        ("", "", ""),
    ],
)
def test_what_is_thought_and_what_is_said(text: str, thinking: str, answer: str) -> None:
    assert told([text]) == {Channel.THINKING: thinking, Channel.ANSWER: answer}
