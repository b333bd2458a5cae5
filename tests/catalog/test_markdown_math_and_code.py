"""Markdown of answers: TeX stays as written, code gets classes, and neither opens a way for markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.catalog.markdown import render_markdown


@pytest.mark.parametrize(
    "tex",
    [r"$e^{i\pi}_a + 1_b = 0$", r"\(a_1 * b_2 * c\)", r"\[x_{1} \\ y\]", r"$$\frac{a_1}{b_2}$$", r"$a<b>c$"],
)
def test_tex_is_kept_character_by_character(tex: str) -> None:
    shown = tex.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f'<code class="math">{shown}</code>' in render_markdown(f"Before {tex} behind.")


def test_a_block_of_tex_is_kept_with_its_lines() -> None:
    html = render_markdown("It follows:\n$$\n\\sum_i a_i \\\\\n  b_*c*\n$$\nDone *so*.")
    assert '<code class="math">$$\n\\sum_i a_i \\\\\n  b_*c*\n$$</code></pre>' in html
    assert "<em>so</em>" in html


@pytest.mark.parametrize(
    "money", ["It costs $5 and *not* $6.", "$ 5 is $ *5*", "US$*1*", r"\$5_a_$ *x*", "$$", "$", r"\("]
)
def test_money_is_no_formula(money: str) -> None:
    assert "math" not in render_markdown(money)


def test_code_gets_classes_by_its_language_and_keeps_its_text() -> None:
    html = render_markdown("```python\ndef f(x):\n    return '<b>'  # why\n```")
    assert '<span class="k">def</span>' in html
    assert "style=" not in html
    plain = re.sub(r"<[^>]+>", "", html).replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'")
    assert plain == "def f(x):\n    return '<b>'  # why\n\n"
    assert "<span" not in render_markdown("```nolanguage\ndef f(): pass\n```")
    assert "<span" not in render_markdown("```python\n" + "x = 1\n" * 5000 + "```")


@settings(max_examples=80, deadline=None)
@given(
    st.text(alphabet="$\\()[]<>`*_a\n \"'=&;/", max_size=60),
    st.sampled_from(["{}", "```html\n{}\n```", "$$\n{}\n$$", "- {}"]),
)
def test_whatever_stands_in_a_formula_or_in_code_is_text(text: str, around: str) -> None:
    html = render_markdown(
        around.replace("{}", text + '<img src=x onerror="alert(1)"><script>alert(1)</script>' + text)
    )
    assert "<script" not in html
    assert "<img" not in html
    assert not re.search(r"<[^>]*\son\w+=", html)
