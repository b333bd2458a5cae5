"""What changed between two texts of a card: words in the body, fields in the metadata. Pure; shown by the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final

import yaml

from portal.catalog.card_text import parse_card

CONTEXT_LINES: Final = 2
# Finding the best match takes quadratic time; larger changes are shown as one text that went and one that came.
MAX_COMPARED_LINES: Final = 2_000
MAX_COMPARED_WORDS: Final = 2_000
LEAST_LIKENESS: Final = 0.3
LONG_VALUE_LINES: Final = 5
_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text that is the same, added or removed; a gap stands for `lines` equal lines that are not shown."""

    kind: str
    text: str = ""
    lines: int = 0


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of the metadata that was added (`old` is empty), removed (`new` is empty) or changed; values as YAML."""

    name: str
    old: str
    new: str

    @property
    def segments(self) -> list[Segment]:
        """What changed inside a value of many lines; empty for short ones, which are read side by side."""
        lines = min(self.old.count("\n"), self.new.count("\n"))
        return compare_texts(self.old, self.new) if lines >= LONG_VALUE_LINES else []


@dataclass(frozen=True, slots=True)
class Comparison:
    """Nothing in both means that only line ends or the layout of the front matter differ, if anything does."""

    fields: tuple[FieldChange, ...]
    segments: tuple[Segment, ...]


@lru_cache(maxsize=8)
def compare_cards(old: str, new: str) -> Comparison:
    """Compare two whole cards. Raises ValidationError where one of them is none."""
    before, after = parse_card(old), parse_card(new)
    return Comparison(
        fields=tuple(compare_fields(before.metadata, after.metadata)),
        segments=tuple(compare_texts(before.body, after.body)),
    )


def compare_fields(old: dict[str, Any], new: dict[str, Any]) -> Iterator[FieldChange]:
    """The top-level fields that differ, by name."""
    for name in sorted(old.keys() | new.keys()):
        before, after = _yaml(old, name), _yaml(new, name)
        if before != after:
            yield FieldChange(name, before, after)


def _yaml(fields: dict[str, Any], name: str) -> str:
    if name not in fields:
        return ""
    dumped: str = yaml.safe_dump(fields[name], allow_unicode=True, sort_keys=False, width=100)
    return dumped.removesuffix("...\n").strip() or "''"


def compare_texts(old: str, new: str) -> list[Segment]:
    """Both texts in one: what they share, what was removed and what was added; empty where no line differs."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return []
    segments: list[Segment] = []
    blocks = _line_blocks(before, after)
    for position, (kind, first, last, other_first, other_last) in enumerate(blocks):
        if kind == "equal":
            segments += _context(before[first:last], starts=position == 0, ends=position == len(blocks) - 1)
        else:
            segments += _changed(_text(before[first:last]), _text(after[other_first:other_last]))
    return _joined(segments)


Block = tuple[str, int, int, int, int]


def _line_blocks(before: list[str], after: list[str]) -> list[Block]:
    """difflib's opcodes; common lines at both ends are taken off first, since most edits are small."""
    shortest = min(len(before), len(after))
    head = next((n for n in range(shortest) if before[n] != after[n]), shortest)
    tail = next((n for n in range(shortest - head) if before[-1 - n] != after[-1 - n]), shortest - head)
    middle, other_middle = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(middle), len(other_middle)) > MAX_COMPARED_LINES:
        inner: list[Block] = [("replace", 0, len(middle), 0, len(other_middle))]
    else:
        inner = list(SequenceMatcher(None, middle, other_middle).get_opcodes())
    blocks: list[Block] = [(kind, a + head, b + head, c + head, d + head) for kind, a, b, c, d in inner]
    if head:
        blocks.insert(0, ("equal", 0, head, 0, head))
    if tail:
        blocks.append(("equal", len(before) - tail, len(before), len(after) - tail, len(after)))
    return blocks


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _context(lines: list[str], *, starts: bool, ends: bool) -> list[Segment]:
    """The lines beside a change; of many equal ones between two changes the middle is left out."""
    above = 0 if starts else CONTEXT_LINES
    below = 0 if ends else CONTEXT_LINES
    hidden = len(lines) - above - below
    if hidden <= 1:
        return [Segment("same", _text(lines))]
    parts = [
        Segment("same", _text(lines[:above])),
        Segment("gap", lines=hidden),
        Segment("same", _text(lines[len(lines) - below :])),
    ]
    return [part for part in parts if part.text or part.kind == "gap"]


def _changed(removed: str, added: str) -> list[Segment]:
    """Lines that replaced others, word by word where the two are alike."""
    words, other_words = _WORDS.findall(removed), _WORDS.findall(added)
    if words and other_words and max(len(words), len(other_words)) <= MAX_COMPARED_WORDS:
        matcher = SequenceMatcher(None, words, other_words, autojunk=False)
        shared = sum(
            not word.isspace()
            for block in matcher.get_matching_blocks()
            for word in words[block.a : block.a + block.size]
        )
        shortest = min(sum(not word.isspace() for word in side) for side in (words, other_words))
        if shared >= LEAST_LIKENESS * shortest:
            return list(_word_segments(matcher, words, other_words))
    return [Segment(kind, text) for kind, text in (("removed", removed), ("added", added)) if text]


def _word_segments(matcher: SequenceMatcher[str], words: list[str], other_words: list[str]) -> Iterator[Segment]:
    for kind, first, last, other_first, other_last in matcher.get_opcodes():
        removed, added = "".join(words[first:last]), "".join(other_words[other_first:other_last])
        if kind == "equal":
            yield Segment("same", removed)
            continue
        if removed:
            yield Segment("removed", removed)
        if added:
            yield Segment("added", added)


def _joined(segments: list[Segment]) -> list[Segment]:
    """Neighbours of one kind as one."""
    joined: list[Segment] = []
    for segment in segments:
        if joined and joined[-1].kind == segment.kind and segment.kind != "gap":
            joined[-1] = Segment(segment.kind, joined[-1].text + segment.text)
        else:
            joined.append(segment)
    return joined
