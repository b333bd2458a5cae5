"""What is shown of a growing text never ends inside a grapheme, and joined it is the whole text."""

from __future__ import annotations

import itertools

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.answer_text import AnswerText
from inference.channels import AnswerOnly
from inference.detokenizer import Vocabulary
from inference.events import Token
from inference.graphemes import LONGEST, Graphemes
from inference.sampling_params import SamplingParams
from inference.upstream_answer import UpstreamAnswer
from inference.upstream_chunks import Chunk
from tests.inference.tiny_models import tiny_tokenizer

# What graphemes are made of: marks, joiners, variation selectors, skin tones, flags' letters, jamo, viramas, line ends.
PARTS = [
    *("a", "e\u0301", "\u0301", "\u0308", "\u200d", "\ufe0f", "👩", "🚀", "👍", "🏽", "🇩", "🇪", "🇫", "🇷"),
    *(
        "\u1100",
        "\u1161",
        "\u11a8",
        "각",
        "\u0915",
        "\u094d",
        "\u0937",
        "ก",
        "\u0e33",
        "你",
        " ",
        "\n",
        "\r",
        "\r\n",
        "!",
    ),
]
texts = st.lists(st.sampled_from(PARTS) | st.characters(codec="utf-8"), max_size=12).map("".join)


def shown_in_pieces(pieces: list[str]) -> tuple[list[str], str]:
    graphemes = Graphemes()
    return [graphemes.push(piece) for piece in pieces], graphemes.flush()


@settings(max_examples=150, deadline=None)
@given(text=texts, places=st.lists(st.integers(0, 30), max_size=6))
def test_any_cutting_shows_whole_graphemes(text: str, places: list[int]) -> None:
    cuts = sorted({0, len(text), *(place for place in places if place < len(text))})
    shown, rest = shown_in_pieces([text[first:end] for first, end in itertools.pairwise(cuts)])
    assert "".join(shown) + rest == text
    borders, so_far = {0}, ""
    for grapheme in regex.findall(r"\X", text):
        so_far += grapheme
        borders.add(len(so_far))
    so_far = ""
    for piece in shown:
        so_far += piece
        assert len(so_far) in borders


@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_an_answer_shows_whole_graphemes_and_joined_is_the_full_decode(text: str) -> None:
    tokenizer = tiny_tokenizer()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer = AnswerText(Vocabulary(tokenizer), (), AnswerOnly())
    deltas = [delta for token_id in ids for delta in answer.push(Token(token_id, "", 0.0))[0]]
    deltas += answer.finish(stopped=False)
    full = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert "".join(delta.text for delta in deltas) == full
    assert [token.id for delta in deltas for token in delta.tokens] == ids
    assert [piece for delta in deltas for piece in regex.findall(r"\X", delta.text)] == regex.findall(r"\X", full)


@pytest.mark.parametrize(
    "grapheme", ["e\u0301", "👩‍🚀", "👍🏽", "🇩🇪", "\u1112\u1161\u11ab", "\u0915\u094d\u0937", "\r\n"]
)
def test_a_grapheme_appears_when_it_is_whole(grapheme: str) -> None:
    shown, rest = shown_in_pieces([*grapheme, "x"])
    assert "".join(shown) == grapheme
    assert [piece for piece in shown if piece] == [grapheme]
    assert rest == "x"


def test_a_lines_end_is_shown_at_once() -> None:
    assert shown_in_pieces(["a", "b\n"]) == (["", "ab\n"], "")


def test_marks_without_end_are_shown_in_long_pieces() -> None:
    shown, rest = shown_in_pieces(["a", *"\u0301" * 200])
    assert max(map(len, shown)) == LONGEST + 1
    assert "".join(shown) + rest == "a" + "\u0301" * 200


def test_what_was_held_back_comes_before_a_failure() -> None:
    answer = UpstreamAnswer(SamplingParams())
    shown = answer.take(Chunk(text="so far"))
    assert [delta.text for delta in (*shown, *answer.finish())] == ["so fa", "r"]


def test_the_last_tokens_held_back_end_comes_although_the_limit_is_reached() -> None:
    answer = UpstreamAnswer(SamplingParams(max_tokens=1))
    told = (Token(id=1, text=" la", logprob=-0.5),)
    deltas = answer.take(Chunk(text=" l", tokens=told)) + answer.take(Chunk(text="a"))
    assert not answer.ended_here
    deltas += answer.take(Chunk(text=" fin", tokens=told)) + answer.finish()
    assert "".join(delta.text for delta in deltas) == " la"
    assert answer.ended_here
