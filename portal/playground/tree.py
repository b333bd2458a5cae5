"""A conversation as the tree that it is: the branch that is shown, its turns' siblings, and the turns before a page."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models.functions import MD5

from portal.playground.models import Conversation, Generation

TURNS_PER_PAGE: Final = 20
# Large, and on no page: each turn's messages repeat all turns before it.
_NOT_SHOWN: Final = ("messages", "rendered_prompt", "provenance")


@dataclass(frozen=True, slots=True)
class Versions:
    """A place among versions of one thing, oldest first, and the turns that lead to the one before and after."""

    number: int
    count: int
    previous: uuid.UUID | None
    next: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn, its number on its branch, from 1, the prompts that stand in its place, and the answers to its own."""

    generation: Generation
    prompts: Versions
    answers: Versions
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

    def siblings_of(self, turn: uuid.UUID) -> list[uuid.UUID]:
        """All that stand behind the same turn, itself included, oldest first."""
        return self._children[self._parents[turn]]

    def since(self, seen: uuid.UUID | None) -> list[uuid.UUID]:
        """The turns that came after `seen`, oldest first."""
        return [turn for turn, _ in self.nodes[self._order[seen] + 1 if seen is not None else 0 :]]


def read_tree(conversation: Conversation) -> ConversationTree:
    nodes = conversation.generations.order_by("created_at", "id").values_list("pk", "parent_id")
    return ConversationTree(list(nodes))


def versions_of(
    siblings: Sequence[uuid.UUID], turn: uuid.UUID, words: Mapping[uuid.UUID, str]
) -> tuple[Versions, Versions]:
    """The prompts among a turn's siblings, where the one with its `words` stands, and the answers to that prompt.

    A step to another prompt leads to its newest answer.
    """
    by_prompt: dict[str, list[uuid.UUID]] = {}
    for each in siblings:
        by_prompt.setdefault(words.get(each, ""), []).append(each)
    mine = words.get(turn, "")
    newest = {said: answers[-1] for said, answers in by_prompt.items()}
    return _place(list(newest.values()), newest[mine]), _place(by_prompt[mine], turn)


def _place(versions: Sequence[uuid.UUID], turn: uuid.UUID) -> Versions:
    at = versions.index(turn)
    return Versions(
        number=at + 1,
        count=len(versions),
        previous=versions[at - 1] if at > 0 else None,
        next=versions[at + 1] if at + 1 < len(versions) else None,
    )


def _prompts_beside(
    conversation: Conversation, tree: ConversationTree, turns: Iterable[uuid.UUID]
) -> dict[uuid.UUID, str]:
    """What tells apart the prompts that stand beside others: no query where none does."""
    groups = [tree.siblings_of(turn) for turn in turns]
    several = [turn for group in groups if len(group) > 1 for turn in group]
    if not several:
        return {}
    # Only whether two are the same matters, and a prompt can be long.
    return dict(conversation.generations.filter(pk__in=several).values_list("pk", MD5("prompt")))


def show_branch(
    conversation: Conversation,
    tree: ConversationTree,
    leaf: uuid.UUID | None,
    *,
    before: uuid.UUID | None = None,
    page_size: int | None = TURNS_PER_PAGE,
) -> Branch:
    """The last turns of the branch that ends in `leaf`, or those before the turn `before`, in two queries at most."""
    path = tree.path_to(leaf)
    end = path.index(before) if before in path else len(path)
    begin = 0 if page_size is None else max(0, end - page_size)
    return Branch(show_turns(conversation, tree, path[begin:end]), leaf, begin, len(path) - end)


def show_turns(conversation: Conversation, tree: ConversationTree, turns: Sequence[uuid.UUID]) -> tuple[ShownTurn, ...]:
    """Turns of one branch, in its order, as they stand among the others: one query, and one more for siblings."""
    rows = conversation.generations.select_related("variant__card").defer(*_NOT_SHOWN).in_bulk(turns)
    words = _prompts_beside(conversation, tree, turns)
    numbers = {turn: number for number, turn in enumerate(tree.path_to(turns[-1] if turns else None), 1)}
    shown = []
    for turn in turns:
        generation = rows[turn]
        generation.conversation = conversation
        versions = versions_of(tree.siblings_of(turn), turn, words)
        shown.append(ShownTurn(generation, *versions, numbers[turn]))
    return tuple(shown)


def read_turns(conversation: Conversation) -> list[tuple[Generation, Versions]]:
    """The turns of all branches, oldest first, each with its place among its siblings, in one query."""
    rows = conversation.generations.select_related("variant__card").defer(*_NOT_SHOWN).order_by("created_at", "id")
    turns = list(rows)
    tree = ConversationTree([(each.pk, each.parent_id) for each in turns])
    return [(each, _place(tree.siblings_of(each.pk), each.pk)) for each in turns]


def show_turn(generation: Generation) -> ShownTurn:
    """One turn as it stands among the others."""
    conversation, turn = generation.conversation, generation.pk
    tree = read_tree(conversation)
    versions = versions_of(tree.siblings_of(turn), turn, _prompts_beside(conversation, tree, [turn]))
    return ShownTurn(generation, *versions, len(tree.path_to(turn)))
