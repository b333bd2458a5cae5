"""Turns Markdown that nobody vouches for (cards, answers, comments) into HTML that is safe on any page.

Two independent walls: the parser knows no HTML and few address schemes, and what it wrote is cleaned by an allow-list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from portal.catalog import code_highlighting
from portal.catalog.code_highlighting import highlight_code
from portal.catalog.math_text import keep_math

MAX_CHARACTERS: Final = 100_000
"""Longer text is cut here, and says so: what is hostile at this length was measured to take a second at most."""
MAX_REMEMBERED_CHARACTERS: Final = 8_000
"""What was made of shorter texts is kept in memory: nothing else can change what they become."""
MAX_REMEMBERED_HTML: Final = 48_000
"""Longer HTML is not kept. A table grows to a hundred times its text; what is kept stays below 30 MB."""
MAX_REMEMBERED_TEXTS: Final = 500
MAX_PARAGRAPH_DELIMITERS: Final = 2_000
"""The parser is quadratic in the delimiters of one paragraph; one with more than this is shown as it was typed."""

_LINK_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_DELIMITERS: Final = re.compile(r"[*_~`\[\]!<&]|://")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_CODE_LANGUAGE: Final = re.compile(r"^language-[A-Za-z0-9_+#.-]{1,40}$")
_CLASSES: Final = {
    "div": re.compile("table-scroll"),
    "code": re.compile(rf"math|{_CODE_LANGUAGE.pattern}"),
    "span": code_highlighting.CLASS,
}
_SLUG_BREAKS: Final = re.compile(r"[^\w]+")
_HEADINGS: Final = ("h2", "h3", "h4", "h5", "h6")

_TAGS: Final = frozenset(
    {
        *_HEADINGS,
        *("a", "span", "blockquote", "br", "code", "div", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
)
_ATTRIBUTES: Final[dict[str, set[str]]] = {
    "a": {"href", "title"},
    "code": {"class"},
    "div": {"class", "tabindex"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
    **{heading: {"id"} for heading in _HEADINGS},
}


@dataclass(frozen=True, slots=True)
class Heading:
    """One entry of a text's outline; `level` is 2 to 6, `anchor` the id in the rendered page."""

    level: int
    text: str
    anchor: str


def render_markdown(text: str, *, allow_remote_images: bool = False, heading_anchors: str = "") -> SafeString:
    """Render CommonMark with tables, strikethrough and bare web addresses. Never raises; the output is safe HTML.

    Raw HTML is shown as text. Links are kept for http, https and mailto alone and marked `nofollow noopener ugc`.
    An image becomes a link named by its alternative text, unless `allow_remote_images`. Where a text has headings of
    the first level, all move down by one, since the page has its own. With `heading_anchors` they get ids that begin
    with it, and links to `#section` work.
    Text beyond MAX_CHARACTERS is not rendered, and the output says so.
    """
    asked = (text, allow_remote_images, heading_anchors, get_language())
    if len(text) > MAX_REMEMBERED_CHARACTERS:
        return _render(*asked)
    try:
        return _remembered(*asked)
    except _TooLongToRemember as long:
        return long.html


def _render(text: str, allow_remote_images: bool, heading_anchors: str, language: str | None) -> SafeString:
    """The output depends on these alone; the language is the current one."""
    shown, cut = _bounded(text)
    env: EnvType = {"images": allow_remote_images, "anchors": heading_anchors}
    html = nh3.clean(
        _PARSER.render(shown, env),
        tags=set(_TAGS | {"img"}) if allow_remote_images else set(_TAGS),
        attributes=_ATTRIBUTES | {"img": {"src", "alt", "title", "loading", "referrerpolicy"}},
        attribute_filter=_keep_attribute,
        url_schemes=set(_LINK_SCHEMES),
        link_rel="nofollow noopener ugc",
    )
    if cut:
        notice = gettext("The text is cut here: only its first %(limit)s characters are shown.")
        html += f"<p><em>{escape(notice % {'limit': f'{MAX_CHARACTERS:,}'})}</em></p>"
    return mark_safe(html)  # noqa: S308 - cleaned by nh3 just above


class _TooLongToRemember(Exception):
    def __init__(self, html: SafeString) -> None:
        super().__init__()
        self.html = html


# A page shows the same answers again and again, and parsing is a quarter of the time that a long conversation takes.
@lru_cache(maxsize=MAX_REMEMBERED_TEXTS)
def _remembered(text: str, allow_remote_images: bool, heading_anchors: str, language: str | None) -> SafeString:
    html = _render(text, allow_remote_images, heading_anchors, language)
    if len(html) > MAX_REMEMBERED_HTML:
        # What raises is not kept.
        raise _TooLongToRemember(html)
    return html


def markdown_outline(text: str, *, heading_anchors: str) -> list[Heading]:
    """The headings of a text in order, with the anchors that `render_markdown` gives them."""
    tokens = _PARSER.parse(_bounded(text)[0], {"anchors": heading_anchors})
    return [
        Heading(int(opening.tag[1]), _plain_text(content), str(opening.attrs["id"]))
        for opening, content in pairwise(tokens)
        if opening.type == "heading_open"
    ]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and everything under it, up to the next heading of its level or above."""

    heading: Heading
    text: str


def markdown_sections(text: str, *, heading_anchors: str) -> list[Section]:
    """Every heading of a text with what it heads, in order; an inner section is part of the outer one's text, too."""
    bounded = _bounded(text)[0]
    lines = bounded.splitlines()
    tokens = _PARSER.parse(bounded, {"anchors": heading_anchors})
    found = [
        (Heading(int(opening.tag[1]), _plain_text(content), str(opening.attrs["id"])), opening.map)
        for opening, content in pairwise(tokens)
        if opening.type == "heading_open" and opening.map
    ]
    sections = []
    for index, (heading, (_start, begin)) in enumerate(found):
        later = (lines_of[0] for other, lines_of in found[index + 1 :] if other.level <= heading.level)
        sections.append(Section(heading, "\n".join(lines[begin : next(later, len(lines))])))
    return sections


def _bounded(text: str) -> tuple[str, bool]:
    """The part of the text to render, without what UTF-8 cannot carry, and whether something was cut."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_CHARACTERS]), len(text) > MAX_CHARACTERS


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    """Keep an attribute only with a value that this module could have written."""
    if name == "class":
        return value if _CLASSES[tag].fullmatch(value) else None
    if name == "align":
        return value if value in {"left", "center", "right"} else None
    if name == "tabindex":
        return "0"
    if name in {"href", "src"}:
        # nh3 lets relative addresses through; out of somebody's text they would act on this portal.
        return value if value.startswith("#") or value.partition(":")[0].lower() in _LINK_SCHEMES else None
    return value


# --- What the parser does with tokens before they are written


def _valid_link(url: str) -> bool:
    return url.startswith("#") or url.partition(":")[0].strip().lower() in _LINK_SCHEMES


def _plain_text(inline: Token) -> str:
    parts = (child.content if child.type != "softbreak" else " " for child in inline.children or ())
    return "".join(parts).strip()


def _leave_dense_paragraphs_plain(state: Any) -> None:
    """Runs before inline parsing: a paragraph with a hostile number of delimiters is shown as it was typed."""
    for token in state.tokens:
        if token.type == "inline" and len(_DELIMITERS.findall(token.content)) > MAX_PARAGRAPH_DELIMITERS:
            token.type = "plain_paragraph"


def _finish_tokens(state: Any) -> None:
    """Runs after inline parsing: headings, links, images, tables and code blocks as this portal shows them."""
    anchors = _Anchors(str(state.env.get("anchors", "")))
    shift = 1 if any(token.type == "heading_open" and token.tag == "h1" for token in state.tokens) else 0
    for index, token in enumerate(state.tokens):
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + shift, 6)}"
            if token.type == "heading_open" and anchors.prefix:
                token.attrSet("id", anchors.name(_plain_text(state.tokens[index + 1])))
        elif token.type in {"th_open", "td_open"}:
            style = str(token.attrs.pop("style", ""))  # a style attribute is against the content security policy
            if style:
                token.attrSet("align", style.removeprefix("text-align:"))
        elif token.type == "inline" and token.children:
            token.children = list(_finish_inline(token.children, state.env))


def _finish_inline(children: Sequence[Token], env: EnvType) -> Iterator[Token]:
    link_open = False
    prefix = str(env.get("anchors", ""))
    for token in children:
        if token.type == "link_open":
            href = str(token.attrs.get("href", ""))
            link_open = not href.startswith("#") or bool(prefix)
            if href.startswith("#"):
                # Cards on model hubs write "##section" too.
                token.attrSet("href", f"#{prefix}{href.lstrip('#').lower()}")
            if not link_open:
                token.type, token.tag, token.hidden = "text", "", False
                token.content = ""
        elif token.type == "link_close" and not link_open:
            token.type, token.tag, token.content = "text", "", ""
        elif token.type == "link_close":
            link_open = False
        elif token.type == "image":
            yield from _image(token, linked=link_open, allowed=bool(env.get("images")))
            continue
        yield token


def _image(token: Token, *, linked: bool, allowed: bool) -> Iterator[Token]:
    source = str(token.attrs.get("src", ""))
    remote = source.partition(":")[0].lower() in {"http", "https"}
    if remote and allowed:
        token.attrSet("loading", "lazy")
        token.attrSet("referrerpolicy", "no-referrer")
        yield token
        return
    name = Token("text", "", 0, content=_plain_text(token) or gettext("image"))
    if linked or not remote:
        yield name
        return
    yield Token("link_open", "a", 1, attrs={"href": source})
    yield name
    yield Token("link_close", "a", -1)


class _Anchors:
    """Names headings the way model hubs do, each once."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._seen: dict[str, int] = {}

    def name(self, heading: str) -> str:
        slug = _SLUG_BREAKS.sub("-", heading.lower()).strip("-") or "section"
        count = self._seen.get(slug, 0)
        self._seen[slug] = count + 1
        return f"{self.prefix}{slug}-{count}" if count else f"{self.prefix}{slug}"


class _Renderer(RendererHTML):
    """Scrolling boxes, so that a wide table or a long line of code never widens the page; reachable by keyboard."""

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table-scroll" tabindex="0"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def plain_paragraph(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return escape(tokens[index].content)

    def code_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'

    def fence(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        language = tokens[index].info.strip().split(maxsplit=1)
        name = f' class="language-{escape(language[0])}"' if language else ""
        code = highlight_code(tokens[index].content, language[0] if language else "")
        return f'<pre tabindex="0"><code{name}>{code}</code></pre>\n'

    def math(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f'<code class="math">{escape(tokens[index].content)}</code>'

    def math_block(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return f'<pre tabindex="0"><code class="math">{escape(tokens[index].content)}</code></pre>\n'


def _build_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "xhtmlOut": False}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough", "linkify"])
    keep_math(parser)
    assert parser.linkify is not None
    # Without a scheme "README.md" would be a link to a domain in Moldova.
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    parser.validateLink = _valid_link  # type: ignore[method-assign]
    parser.core.ruler.before("inline", "plain_paragraphs", _leave_dense_paragraphs_plain)
    parser.core.ruler.push("finish", _finish_tokens)
    # Rules are compiled on first use, which two threads must not do at once.
    parser.render("- *a*\n\n> b\n\n|c|\n|-|\n|https://example.org|\n\n# [d](https://example.org)\n")
    return parser


_PARSER: Final = _build_parser()
