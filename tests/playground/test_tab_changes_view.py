"""What a tab is told of other tabs: turns on its branch, versions beside it, another title, a deletion and its end."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.conversation_services import revise_conversation
from portal.playground.models import Conversation, Generation, State
from portal.playground.tab_changes import _going_on_from
from portal.playground.tree import ConversationTree
from tests.playground.turns import add_turn, make_conversation, prompt_form

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def state_in(page: str) -> dict[str, str]:
    """What the page's tab says of itself when it asks."""
    [element] = re.findall(r'<span id="tab-state"[^>]*>', page)
    return {name: re.findall(rf'data-{name}="([^"]*)"', element)[0] for name in ("seen", "leaf", "title")}


def open_tab(client: Client, conversation: Conversation, **where: Any) -> dict[str, str]:
    return state_in(client.get(conversation.get_absolute_url(), where).content.decode())


def look(client: Client, conversation: Conversation, tab: dict[str, str], notice: str = "") -> HttpResponse:
    response = client.get(reverse("playground:changes", args=[conversation.pk]), {**tab, "notice": notice})
    assert isinstance(response, HttpResponse)
    return response


def exchanges(response: HttpResponse) -> list[str]:
    return re.findall(r'id="turn-([0-9a-f-]{36})" data-exchange', response.content.decode())


def test_turns_that_go_on_from_the_tabs_branch_come_with_their_streams_once(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant)
    tab = open_tab(alice_client, conversation)
    assert look(alice_client, conversation, tab).status_code == 204
    second = add_turn(conversation, variant, first, prompt="SECOND")
    third = add_turn(conversation, variant, second, prompt="THIRD", state=State.RUNNING)
    response = look(alice_client, conversation, tab)
    page = response.content.decode()
    assert exchanges(response) == [str(second.pk), str(third.pk)]
    assert f'data-stream="{reverse("playground:events", args=[third.pk])}"' in page
    # What is typed there follows them; the text area itself is not touched.
    assert f'name="parent" value="{third.pk}"' in page
    assert "<textarea" not in page
    assert "data-notice" not in page
    assert look(alice_client, conversation, state_in(page)).status_code == 204


def test_a_tab_stays_on_its_branch_and_hears_of_another_one(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="FIRST")
    mine = add_turn(conversation, variant, first, prompt="MINE")
    tab = open_tab(alice_client, conversation)
    other = add_turn(conversation, variant, first, prompt="CHANGED")
    response = look(alice_client, conversation, tab)
    page = response.content.decode()
    assert exchanges(response) == []
    assert f"?at={other.pk}#turn-{other.pk}" in page
    # Its own turn says that there is another version of the prompt.
    assert re.search(rf'id="prompts-{mine.pk}" hx-swap-oob="true".*Prompt 1 of 2', page, re.DOTALL)
    assert 'name="parent"' not in page
    # Going on from its branch, it keeps the sentence on the other one.
    add_turn(conversation, variant, mine, prompt="ON")
    later = look(alice_client, conversation, state_in(page), "elsewhere")
    assert len(exchanges(later)) == 1
    assert 'data-notice="elsewhere"' in later.content.decode()


@pytest.mark.parametrize("place", ["edit", "reply"])
def test_who_changes_a_prompt_or_turns_off_is_left_where_they_are(
    place: str, alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant)
    second = add_turn(conversation, variant, first)
    tab = open_tab(alice_client, conversation, **{place: second.pk if place == "edit" else first.pk})
    add_turn(conversation, variant, second)
    response = look(alice_client, conversation, tab)
    assert exchanges(response) == []
    assert 'data-notice="elsewhere"' in response.content.decode()


def test_another_title_a_deletion_and_its_end_are_told_once(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice, "Old title")
    add_turn(conversation, variant)
    tab = open_tab(alice_client, conversation)
    revise_conversation(conversation, title="New <title>")
    page = look(alice_client, conversation, tab).content.decode()
    assert page.count("New &lt;title&gt;") == 2
    tab = state_in(page)
    assert look(alice_client, conversation, tab).status_code == 204
    conversation.delete_softly()
    page = look(alice_client, conversation, tab).content.decode()
    assert reverse("playground:restore", args=[conversation.pk]) in page
    assert look(alice_client, conversation, tab, "deleted").status_code == 204
    # Typing on is no error there.
    typed = {"variant": variant.model_id, "prompt": "on", "conversation": conversation.pk}
    assert alice_client.post(reverse("playground:context"), typed).status_code == 200
    conversation.restore()
    page = look(alice_client, conversation, tab, "deleted").content.decode()
    assert "data-notice" not in page
    assert look(alice_client, conversation, state_in(page)).status_code == 204


def test_what_a_tab_itself_sends_is_not_news_to_it(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant)
    sent = prompt_form(variant, prompt="Next", parent=str(first.pk))
    page = alice_client.post(conversation.get_absolute_url(), sent, headers=HTMX).content.decode()
    assert look(alice_client, conversation, state_in(page)).status_code == 204
    failed = Generation.objects.get(prompt="Next")
    Generation.objects.filter(pk=failed.pk).update(state=State.FAILED, finished_at=failed.created_at)
    retry = reverse("playground:retry", args=[failed.pk])
    page = alice_client.post(retry, {"request_key": uuid.uuid4()}, headers=HTMX).content.decode()
    assert look(alice_client, conversation, state_in(page)).status_code == 204


def test_a_tab_that_says_nonsense_gets_what_is_new_and_no_error(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    nonsense = {"seen": "<b>", "leaf": str(uuid.uuid4()), "title": "x" * 5000}
    assert look(alice_client, conversation, nonsense, "<script>").status_code == 200


@st.composite
def _growing(draw: st.DrawFn) -> tuple[ConversationTree, int, int]:
    count = draw(st.integers(1, 15))
    parents = [draw(st.none() | st.integers(0, at - 1)) if at else None for at in range(count)]
    nodes = [(uuid.UUID(int=at), None if each is None else uuid.UUID(int=each)) for at, each in enumerate(parents)]
    return ConversationTree(nodes), draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))


@settings(max_examples=80, deadline=None)
@given(_growing())
def test_only_new_turns_are_added_in_order_behind_the_leaf(drawn: tuple[ConversationTree, int, int]) -> None:
    tree, seen, at = drawn
    leaf, new = uuid.UUID(int=min(at, seen)), tree.since(uuid.UUID(int=seen))
    added = _going_on_from(tree, leaf, new)
    parents = dict(tree.nodes)
    assert [parents[each] for each in added] == [leaf, *added][: len(added)]
    assert set(added) <= set(new)
    # Nothing is left out: a new turn right behind the leaf always brings some.
    assert bool(added) is any(parents[each] == leaf for each in new)
