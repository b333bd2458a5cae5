"""What a tab has to do to agree with what happened to its conversation in other tabs.

A tab stays on its own branch, with its own draft: turns that go on from its end are added to it, versions that came
beside its turns are counted, and of anything else it hears in a sentence.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from portal.playground.models import Conversation
from portal.playground.tree import TURNS_PER_PAGE, ConversationTree, ShownTurn, read_tree, show_turns


class Notice(StrEnum):
    """The sentence that a tab shows."""

    NONE = ""
    ELSEWHERE = "elsewhere"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class TabState:
    """What a tab shows: the newest turn that it knows of, the end of its branch (None while a prompt is being changed),
    the mark of the title, and its notice."""

    seen: uuid.UUID | None
    leaf: uuid.UUID | None
    title: str
    notice: Notice

    @classmethod
    def read(cls, query: Mapping[str, str]) -> TabState:
        """From an address; what cannot be read is taken as not shown."""
        notice = query.get("notice", "")
        return cls(
            _uuid(query.get("seen", "")),
            _uuid(query.get("leaf", "")),
            query.get("title", ""),
            Notice(notice) if notice in set(Notice) else Notice.NONE,
        )


@dataclass(frozen=True, slots=True)
class TabChanges:
    """What is new for a tab. `added` go on from the end of its branch; beside `restepped` came other versions."""

    added: tuple[ShownTurn, ...]
    restepped: tuple[ShownTurn, ...]
    notice: Notice
    is_renamed: bool
    newest: uuid.UUID | None


def title_mark(conversation: Conversation) -> str:
    """Tells one title from the next."""
    return f"{zlib.crc32(conversation.title.encode()):08x}"


def find_changes(conversation: Conversation, tab: TabState) -> TabChanges | None:
    """None when the tab shows how things are."""
    if conversation.is_deleted:
        return None if tab.notice == Notice.DELETED else TabChanges((), (), Notice.DELETED, False, tab.seen)
    tree = read_tree(conversation)
    new = tree.since(tab.seen) if tab.seen is None or tab.seen in tree else list(tree.path_to(tree.newest))
    leaf = tab.leaf if tab.leaf is not None and tab.leaf in tree else None
    added = _going_on_from(tree, leaf, new)
    is_renamed = tab.title != title_mark(conversation)
    if not (new or is_renamed or tab.notice == Notice.DELETED):
        return None
    elsewhere = tab.notice == Notice.ELSEWHERE or len(added) < len(new)
    return TabChanges(
        added=show_turns(conversation, tree, added),
        restepped=show_turns(conversation, tree, _stepped_beside(tree, leaf, set(new) - set(added))),
        notice=Notice.ELSEWHERE if elsewhere else Notice.NONE,
        is_renamed=is_renamed,
        newest=tree.newest,
    )


def _going_on_from(tree: ConversationTree, leaf: uuid.UUID | None, new: list[uuid.UUID]) -> list[uuid.UUID]:
    """The turns behind `leaf`, up to its newest new one. A branch that turned off there before is not gone into."""
    if leaf is None:
        return []
    known = set(new)
    for turn in reversed(new):
        path = tree.path_to(turn)
        if leaf in path and known.issuperset(behind := path[path.index(leaf) + 1 :]):
            return behind
    return []


def _stepped_beside(tree: ConversationTree, leaf: uuid.UUID | None, others: set[uuid.UUID]) -> list[uuid.UUID]:
    shown = tree.path_to(leaf)[-TURNS_PER_PAGE:]
    return [turn for turn in shown if not others.isdisjoint(tree.siblings_of(turn))]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
