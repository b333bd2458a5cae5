"""A conversation as the tree that it is: the branch that is shown, its turns' siblings, and the turns before a page."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from portal.playground.models import Conversation, Generation

TURNS_PER_PAGE: Final = 20
# Large, and on no page: each turn's messages repeat all turns before it.
_NOT_SHOWN: Final = ("messages", "rendered_prompt", "provenance")


@dataclass(frozen=True, slots=True)
class Siblings:
    """A turn's place among the answers and prompts that stand behind the same turn, oldest first."""

    number: int
    count: int
    previous: uuid.UUID | None
    next: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn with its siblings, and its number on its branch, from 1."""

    generation: Generation
    siblings: Siblings
    number: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A page of one branch: its last turns, or those before some turn."""

    turns: tuple[ShownTurn, ...]
    # The leaf of the branch, also when a page of earlier turns is shown.
    leaf: uuid.UUID | None
    # How many turns of the branch stand before and behind the shown ones.
    before: int
    behind: int

    @property
    def last(self) -> Generation | None:
        return self.turns[-1].generation if self.turns else None


@dataclass(slots=True)
class ConversationTree:
    """Who follows whom, oldest first: read in one query, and small whatever the turns hold."""

    nodes: Sequence[tuple[uuid.UUID, uuid.UUID | None]]
    _parents: dict[uuid.UUID, uuid.UUID | None] = field(init=False)
    _children: dict[uuid.UUID | None, list[uuid.UUID]] = field(init=False)
    _order: dict[uuid.UUID, int] = field(init=False)

    def __post_init__(self) -> None:
        self._parents = dict(self.nodes)
        self._order = {turn: at for at, (turn, _) in enumerate(self.nodes)}
        self._children = defaultdict(list)
        for turn, parent in self.nodes:
            self._children[parent].append(turn)

    def __contains__(self, turn: uuid.UUID) -> bool:
        return turn in self._parents

    @property
    def newest(self) -> uuid.UUID | None:
        """The newest turn, which is always a leaf."""
        return self.nodes[-1][0] if self.nodes else None

    def path_to(self, turn: uuid.UUID | None) -> list[uuid.UUID]:
        """The turns from the first one to `turn`."""
        path: list[uuid.UUID] = []
        while turn is not None:
            path.append(turn)
            turn = self._parents[turn]
        return path[::-1]

    def newest_leaf_of(self, turn: uuid.UUID) -> uuid.UUID:
        """The newest turn below `turn`, or itself: where somebody who comes back to it goes on."""
        newest, pending = turn, [turn]
        while pending:
            children = self._children.get(pending.pop(), [])
            pending += children
            newest = max([newest, *children], key=self._order.__getitem__)
        return newest

    def siblings_of(self, turn: uuid.UUID) -> Siblings:
        group = self._children[self._parents[turn]]
        at = group.index(turn)
        return Siblings(
            number=at + 1,
            count=len(group),
            previous=group[at - 1] if at > 0 else None,
            next=group[at + 1] if at + 1 < len(group) else None,
        )


def read_tree(conversation: Conversation) -> ConversationTree:
    nodes = conversation.generations.order_by("created_at", "id").values_list("pk", "parent_id")
    return ConversationTree(list(nodes))


def show_branch(
    conversation: Conversation,
    tree: ConversationTree,
    leaf: uuid.UUID | None,
    *,
    before: uuid.UUID | None = None,
    page_size: int | None = TURNS_PER_PAGE,
) -> Branch:
    """The last turns of the branch that ends in `leaf`, or those before the turn `before`, in one query."""
    path = tree.path_to(leaf)
    end = path.index(before) if before in path else len(path)
    begin = 0 if page_size is None else max(0, end - page_size)
    rows = conversation.generations.select_related("variant__card").defer(*_NOT_SHOWN).in_bulk(path[begin:end])
    turns = []
    for number, turn in enumerate(path[begin:end], begin + 1):
        generation = rows[turn]
        generation.conversation = conversation
        turns.append(ShownTurn(generation, tree.siblings_of(turn), number))
    return Branch(tuple(turns), leaf, begin, len(path) - end)


def show_turn(generation: Generation) -> ShownTurn:
    """One turn as it stands among the others."""
    tree = read_tree(generation.conversation)
    return ShownTurn(generation, tree.siblings_of(generation.pk), len(tree.path_to(generation.pk)))
