"""A conversation as a tree: branches, siblings, pages of a long branch in two queries, and what any tree holds."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, State
from portal.playground.tree import ConversationTree, read_tree, show_branch, versions_of
from tests.playground.turns import add_turn, make_conversation


def node(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


@st.composite
def trees(draw: st.DrawFn) -> ConversationTree:
    """Each turn stands behind an earlier one, or is a first turn."""
    count = draw(st.integers(1, 25))
    parents = [draw(st.none() | st.integers(0, at - 1)) if at else None for at in range(count)]
    return ConversationTree([(node(at), None if each is None else node(each)) for at, each in enumerate(parents)])


@settings(max_examples=60, deadline=None)
@given(trees(), st.data())
def test_every_turn_is_on_the_branch_that_is_shown_for_it_and_versions_lead_to_each_other(
    tree: ConversationTree, data: st.DataObject
) -> None:
    words = {turn: data.draw(st.sampled_from("abc")) for turn, _ in tree.nodes}
    parents = dict(tree.nodes)
    for turn in parents:
        path = tree.path_to(tree.newest_leaf_of(turn))
        assert turn in path
        assert [parents[each] for each in path] == [None, *path[:-1]]
        assert path[-1] not in parents.values()
        siblings = tree.siblings_of(turn)
        prompts, answers = versions_of(siblings, turn, words)
        for versions in (prompts, answers):
            assert 1 <= versions.number <= versions.count
            assert (versions.previous is None) is (versions.number == 1)
            assert (versions.next is None) is (versions.number == versions.count)
        assert prompts.count == len({words[each] for each in siblings})
        assert answers.count == [words[each] for each in siblings].count(words[turn])
        if answers.next is not None:
            assert words[answers.next] == words[turn]
            assert versions_of(siblings, answers.next, words)[1].previous == turn
        if prompts.next is not None:
            assert words[prompts.next] != words[turn]
            assert versions_of(siblings, prompts.next, words)[0].number == prompts.number + 1
    assert tree.newest_leaf_of(tree.path_to(tree.newest)[0]) is not None


@pytest.mark.django_db
def test_a_retry_takes_the_failed_turns_place_and_the_failed_one_stays_beside_it(alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant)
    failed = add_turn(conversation, variant, first, state=State.FAILED, output="")
    again = add_turn(conversation, variant, first)
    tree = read_tree(conversation)
    branch = show_branch(conversation, tree, tree.newest)
    assert [each.generation for each in branch.turns] == [first, again]
    assert (branch.turns[1].answers.number, branch.turns[1].answers.previous) == (2, failed.pk)
    assert branch.turns[1].prompts.count == 1


@pytest.mark.django_db
def test_coming_back_to_an_older_version_shows_what_followed_it(alice: User, variant: Variant) -> None:
    conversation = make_conversation(alice)
    one = add_turn(conversation, variant, prompt="one")
    two = add_turn(conversation, variant, one, prompt="two")
    other = add_turn(conversation, variant, prompt="another beginning")
    tree = read_tree(conversation)
    assert tree.newest == other.pk
    assert tree.path_to(tree.newest_leaf_of(one.pk)) == [one.pk, two.pk]


@pytest.mark.django_db
def test_a_branch_of_any_length_is_shown_by_pages_in_two_queries(
    alice: User, variant: Variant, django_assert_num_queries: Any
) -> None:
    conversation = make_conversation(alice)
    turn: Generation | None = None
    for number in range(1, 71):
        turn = add_turn(conversation, variant, turn, prompt=str(number))
    with django_assert_num_queries(2):
        tree = read_tree(conversation)
        branch = show_branch(conversation, tree, tree.newest)
        assert [(each.generation.variant.model_id, each.generation.conversation.title) for each in branch.turns]
    assert [each.number for each in branch.turns] == list(range(51, 71))
    assert (branch.before, branch.behind) == (50, 0)
    earlier = show_branch(conversation, tree, tree.newest, before=branch.turns[0].generation.pk)
    assert [each.generation.prompt for each in earlier.turns] == [str(number) for number in range(31, 51)]
    assert (earlier.before, earlier.behind, earlier.leaf) == (30, 20, tree.newest)


@pytest.mark.django_db
def test_a_conversation_without_turns_has_an_empty_branch(alice: User) -> None:
    conversation = make_conversation(alice)
    tree = read_tree(conversation)
    assert show_branch(conversation, tree, tree.newest).turns == ()


@pytest.mark.django_db
def test_versions_of_a_prompt_and_of_its_answers_are_counted_apart(
    alice: User, variant: Variant, django_assert_num_queries: Any
) -> None:
    conversation = make_conversation(alice)
    old = add_turn(conversation, variant, prompt="old")
    edited = add_turn(conversation, variant, prompt="edited")
    again = add_turn(conversation, variant, prompt="edited")
    old_again = add_turn(conversation, variant, prompt="old")
    tree = read_tree(conversation)
    with django_assert_num_queries(2):
        [shown] = show_branch(conversation, tree, again.pk).turns
    assert (shown.prompts.number, shown.prompts.count, shown.prompts.previous) == (2, 2, old_again.pk)
    assert (shown.answers.number, shown.answers.count, shown.answers.previous) == (2, 2, edited.pk)
    [shown] = show_branch(conversation, tree, old.pk).turns
    assert (shown.prompts.next, shown.answers.next) == (again.pk, old_again.pk)
