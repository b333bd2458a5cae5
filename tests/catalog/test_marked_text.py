"""Marks in rendered Markdown: where the words are, and never anything else than the Markdown without them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.catalog.markdown import render_markdown
from portal.catalog.marked_text import render_marked


@pytest.mark.parametrize(
    ("text", "quote", "expected"),
    [
        ("It was built in 1889.", "built in", "<p>It was <mark>built in</mark> 1889.</p>"),
        ("It was **built in** 1889.", "was **built", "<p>It <mark>was </mark><strong><mark>built</mark> in</strong>"),
        ("- one\n- two", "- two", "<li><mark>two</mark></li>"),
        ("a <b> & c", "<b> &", "a <mark>&lt;b&gt; &amp;</mark> c"),
        ("See [it](https://example.org/where).", "where", '<div class="turn__text">'),
    ],
)
def test_the_marked_words_are_marked_where_they_stand(text: str, quote: str, expected: str) -> None:
    start = text.index(quote)
    assert expected in render_marked(text, [(start, start + len(quote))])


def test_spans_outside_the_text_and_of_spaces_mark_nothing() -> None:
    text = "Two words"
    assert render_marked(text, [(3, 4), (5, 5), (-1, 3), (4, 90), (7, 2)]) == render_markdown(text)


@given(
    st.text(st.sampled_from("ab *_`[]()<>&\"'#-\n\\|!:/\ufdd0"), max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4),
)
def test_without_its_marks_it_is_the_rendered_text_or_the_typed_one(text: str, spans: list[tuple[int, int]]) -> None:
    html = render_marked(text, spans)
    assert html.count("<mark>") == html.count("</mark>")
    bare = re.sub("</?mark>", "", html)
    assert bare == render_markdown(text) or (bare.startswith('<div class="turn__text">') and "<" not in bare[24:-6])
