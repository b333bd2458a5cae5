"""What nobody vouches for becomes HTML that can do nothing but be read."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from threading import Thread

import pytest
from django.utils.safestring import SafeString
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portal.catalog.markdown import (
    MAX_CHARACTERS,
    MAX_REMEMBERED_CHARACTERS,
    MAX_REMEMBERED_HTML,
    Heading,
    _remembered,
    markdown_outline,
    render_markdown,
)


def test_what_short_texts_become_is_remembered_unless_it_grew_long() -> None:
    wide = "|" + "a|" * 150 + "\n|" + "-|" * 150 + "\n" + "|x|\n" * 60
    assert len(wide) < MAX_REMEMBERED_CHARACTERS
    _remembered.cache_clear()
    first = render_markdown(wide)
    assert len(first) > MAX_REMEMBERED_HTML
    assert render_markdown(wide) == first
    assert _remembered.cache_info().currsize == 0
    assert render_markdown("*short*") is render_markdown("*short*")


ALLOWED_ATTRIBUTES = {
    "a": {"href", "title", "rel"},
    "code": {"class"},
    "div": {"class", "tabindex"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "td": {"align"},
    "th": {"align"},
}
ALLOWED_TAGS = {
    *("a", "blockquote", "br", "code", "div", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"),
    *("h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}


class Inspector(HTMLParser):
    """Reads output as a browser would and notes everything that is not on the short list."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED_TAGS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name not in ALLOWED_ATTRIBUTES.get(tag, set()):
                self.faults.append(f"<{tag} {name}={value!r}>")
            if name == "href" and not (value or "").lower().startswith(("http:", "https:", "mailto:")):
                self.faults.append(f"<{tag} {name}={value!r}>")
        if tag == "a" and ("rel", "nofollow noopener ugc") not in attrs:
            self.faults.append("<a> without rel")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"<!{decl}>")


def faults(html: str) -> list[str]:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    return inspector.faults


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/)",
    "[x](/accounts/logout/)",
    "[x](https://e.example 'a\" onmouseover=\"alert(1)')",
    "<javascript:alert(1)>",
    "![x](https://evil.example/pixel.png)",
    '![x](https://evil.example/a"onerror=alert(1))',
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[![x](https://evil.example/a.png)](javascript:alert(1))",
    "[a]: javascript:alert(1)\n\n[a]",
    '```"><script>alert(1)</script>\ncode\n```',
    "```x onclick=1\ncode\n```",
    "|a|\n|:-:|\n|<b style=x>|",
    "<style>*{display:none}</style>",
    "<iframe src=https://evil.example></iframe>",
    "<!-- --><!DOCTYPE html>",
    "[x](#top)",
    "\x00\x01 \ud800 \u202e",
    "&lt;script&gt; &#x3c;script&#x3e;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_nothing_but_text(text: str) -> None:
    html = render_markdown(text)
    assert isinstance(html, SafeString)
    assert faults(html) == []


fragments = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from(
        ["\n", "\n\n", "# ", "- ", "1. ", "> ", "|", "|-|-|\n", "```\n", "    ", "*", "**", "~~", "`", "]("]
    ),
    st.text(max_size=30),
)


@given(st.lists(fragments, max_size=30).map("".join))
@settings(max_examples=400, deadline=None)
@example("[x](javascript:a)\n# <script>")
def test_whatever_is_put_together_stays_harmless(text: str) -> None:
    assert faults(render_markdown(text)) == []
    markdown_outline(text, heading_anchors="card-")


@given(st.text(alphabet=st.characters(), max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_text_raises(text: str) -> None:
    assert faults(render_markdown(text)) == []


def test_common_markdown_is_rendered() -> None:
    html = render_markdown("A **b** *c* ~~d~~ `e`\n\n- one\n- two\n\n3. three\n\n> quote\n\n---\n")
    for part in (
        "<strong>b</strong>",
        "<em>c</em>",
        "<s>d</s>",
        "<code>e</code>",
        "<li>one</li>",
        '<ol start="3">',
        "<hr>",
    ):
        assert part in html


def test_raw_html_is_shown_as_text() -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in render_markdown("<b>bold</b>")


def test_tables_scroll_in_a_box_and_align_without_style() -> None:
    html = render_markdown("|a|b|\n|-:|:-:|\n|1|2|\n")
    assert '<div class="table-scroll" tabindex="0"><table>' in html
    assert '<td align="right">1</td>' in html
    assert '<td align="center">2</td>' in html
    assert "style" not in html


def test_code_keeps_its_language_and_can_be_scrolled_by_keyboard() -> None:
    html = render_markdown("```unknown title\nif a < b:\n```\n\n    indented\n")
    assert '<pre tabindex="0"><code class="language-unknown">if a &lt; b:\n</code></pre>' in html
    assert '<pre tabindex="0"><code>indented\n</code></pre>' in html


def test_bare_addresses_are_links_and_file_names_are_not() -> None:
    html = render_markdown("See https://example.org/a_b and README.md and a@example.org")
    assert '<a href="https://example.org/a_b" rel="nofollow noopener ugc">' in html
    assert html.count("<a ") == 1


def test_an_image_becomes_a_link_named_by_its_alternative_text() -> None:
    html = render_markdown("![A chart](https://example.org/chart.png)")
    assert "<img" not in html
    assert '<a href="https://example.org/chart.png" rel="nofollow noopener ugc">A chart</a>' in html


def test_an_image_inside_a_link_becomes_the_name_of_that_link() -> None:
    html = render_markdown("[![badge](https://example.org/b.svg)](https://example.org/ci)")
    assert html == '<p><a href="https://example.org/ci" rel="nofollow noopener ugc">badge</a></p>\n'


def test_images_that_are_allowed_send_no_referrer_and_come_only_by_http() -> None:
    html = render_markdown("![a](https://example.org/a.png) ![b](data:image/png;base64,AAAA)", allow_remote_images=True)
    assert '<img src="https://example.org/a.png" alt="a" loading="lazy" referrerpolicy="no-referrer">' in html
    assert html.count("<img") == 1


def test_headings_move_down_so_that_the_page_keeps_its_own() -> None:
    assert render_markdown("# One\n\n## Two\n\n###### Six\n") == "<h2>One</h2>\n<h3>Two</h3>\n<h6>Six</h6>\n"
    assert render_markdown("## Two\n\n### Three\n") == "<h2>Two</h2>\n<h3>Three</h3>\n"


def test_headings_with_anchors_are_linked_within_the_text() -> None:
    text = "[to it](#the-data) [again](##the-data)\n\n# The *Data*\n\n# The data\n"
    html = render_markdown(text, heading_anchors="card-")
    assert html.count('href="#card-the-data"') == 2
    assert '<h2 id="card-the-data">The <em>Data</em></h2>' in html
    assert '<h2 id="card-the-data-1">The data</h2>' in html
    assert markdown_outline(text, heading_anchors="card-") == [
        Heading(2, "The Data", "card-the-data"),
        Heading(2, "The data", "card-the-data-1"),
    ]


def test_without_anchors_a_fragment_link_is_only_its_text() -> None:
    assert render_markdown("[top](#top)") == "<p>top</p>\n"


def test_text_beyond_the_limit_is_cut_and_says_so() -> None:
    html = render_markdown("word " * MAX_CHARACTERS)
    assert len(html) < MAX_CHARACTERS + 500
    assert "only its first 100,000 characters are shown" in html
    assert "characters are shown" not in render_markdown("word")


NESTING = {
    "brackets": "[" * 100_000,
    "spread brackets": ("[" + "a" * 98) * 1_000,
    "images": "![" * 50_000,
    "quotes": "> " * 50_000,
    "quotes and lists": "> - " * 25_000,
    "numbers": "1. " * 33_000,
    "indented lists": "".join("  " * depth + "- a\n" for depth in range(310)),
    "emphasis": "*a _b " * 16_000,
    "code spans": "".join("`" * (n % 300 + 1) + " " for n in range(600)),
    "angle brackets": "<a " * 33_000,
    "short table rows": "a|" * 300 + "\n" + "-|" * 300 + "\n" + "|\n" * 49_000,
    "references": "[a]: b\n" * 14_000,
    "addresses": "http://a.b " * 9_000,
    "entities": "&amp" * 25_000,
    "blank lines": "\n" * 100_000,
}


@pytest.mark.parametrize("name", NESTING)
def test_deep_and_long_text_takes_bounded_time(name: str) -> None:
    started = time.process_time()
    assert faults(render_markdown(NESTING[name])) == []
    # About 1 s where it was measured, and three times that on a slow machine that is busy; a quadratic takes minutes.
    assert time.process_time() - started < 30


def test_a_paragraph_full_of_delimiters_is_shown_as_it_was_typed() -> None:
    html = render_markdown("*a* " * 3_000 + "\n\nThen *this*.")
    assert "*a* *a*" in html
    assert "<em>this</em>" in html


def test_threads_render_the_same() -> None:
    text = "# a\n\n|b|\n|-|\n|*c*|\n\n- https://example.org\n"
    expected, results = render_markdown(text), []
    threads = [Thread(target=lambda: results.append(render_markdown(text))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8


def test_what_is_remembered_of_one_page_is_not_shown_on_another() -> None:
    text = "# A\n\n![chart](https://example.org/a.png)"
    plain = render_markdown(text)
    assert "<img" in render_markdown(text, allow_remote_images=True)
    assert 'id="card-a"' in render_markdown(text, heading_anchors="card-")
    assert render_markdown(text) == plain
    assert "<img" not in plain
