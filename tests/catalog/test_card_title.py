"""Titles out of cards' texts: what the card says, its first heading, or nothing; always one plain line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.catalog.card_text import parse_card
from portal.catalog.card_title import MAX_CHARACTERS, title_of


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# My tiny model\n\nWords.", "My tiny model"),
        ("---\nlicense: mit\n---\nWords first.\n\n## A *heading* `x`\n", "A heading x"),
        ("---\npretty_name: Acme 7B\n---\n# Another\n", "Acme 7B"),
        ("# Model Card for My Tiny\n", "My Tiny"),
        ("# Model Card for Model ID\n", ""),
        ("# Model Card: Foo\n", "Foo"),
        ("# Model card format demo\n", "Model card format demo"),
        ("# Table of Contents\n# My model\n", ""),
        ("Only words.", ""),
        ("# <script>alert(1)</script><b>Bold</b> \u202egnp.exe\n", "alert(1)Bold gnp.exe"),
        (f"# {'long ' * 100}\n", ("long " * 40).strip()),
    ],
)
def test_a_title_is_what_the_card_says_of_itself(text: str, title: str) -> None:
    assert title_of(parse_card(text)) == title


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300))
def test_whatever_the_heading_the_title_is_one_plain_line(heading: str) -> None:
    title = title_of(parse_card(f"Words.\n\n# {heading}\n"))
    assert len(title) <= MAX_CHARACTERS
    assert title == title.strip()
    assert not title or title.isprintable()
