"""Walking a conversation's branches, changing a prompt, answering again; with a second person and a stranger."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation
from tests.playground.turns import add_turn, make_conversation, make_variant, prompt_form

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def page_of(client: Client, conversation: Conversation, **where: Any) -> str:
    response = client.get(conversation.get_absolute_url(), where)
    assert response.status_code == 200
    return response.content.decode()


def test_the_address_names_the_branch_and_steps_lead_to_its_siblings(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="FIRST")
    old = add_turn(conversation, variant, first, prompt="OLD WORDS")
    below = add_turn(conversation, variant, old, prompt="BELOW OLD")
    new = add_turn(conversation, variant, first, prompt="NEW WORDS")
    page = page_of(alice_client, conversation)
    assert "NEW WORDS" in page
    assert "OLD WORDS" not in page
    assert f"?at={old.pk}#prompts-{old.pk}" in page
    assert "Prompt 2 of 2" in page
    page = page_of(alice_client, conversation, at=old.pk)
    assert page.index("FIRST") < page.index("OLD WORDS") < page.index("BELOW OLD")
    assert "NEW WORDS" not in page
    assert f"?at={new.pk}#prompts-{new.pk}" in page
    assert "older branch" in page
    # What is sent there follows that branch.
    assert f'name="parent" value="{below.pk}"' in page


def test_a_changed_prompt_becomes_a_sibling_and_the_old_one_stays(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="FIRST")
    second = add_turn(conversation, variant, first, prompt="SECOND")
    page = page_of(alice_client, conversation, edit=second.pk)
    assert "SECOND</textarea>" in page
    assert f'name="edits" value="{second.pk}"' in page
    sent = prompt_form(variant, prompt="SECOND, better", edits=str(second.pk))
    alice_client.post(conversation.get_absolute_url(), sent)
    changed = Generation.objects.get(prompt="SECOND, better")
    assert changed.parent == first
    # The first prompt too, though nothing stands before it.
    alice_client.post(conversation.get_absolute_url(), prompt_form(variant, prompt="Anew", edits=str(first.pk)))
    assert Generation.objects.get(prompt="Anew").parent is None
    assert Generation.objects.filter(pk__in=[first.pk, second.pk]).count() == 2


def test_a_refused_change_gives_the_text_back_where_it_stood(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="FIRST")
    second = add_turn(conversation, variant, first, prompt="SECOND")
    sent = prompt_form(variant, prompt="kept words", edits=str(second.pk), top_k="-1")
    response = alice_client.post(conversation.get_absolute_url(), sent)
    assert response.status_code == 422
    page = response.content.decode()
    assert "kept words</textarea>" in page
    assert "Top-k: At least 0." in page
    assert f'name="edits" value="{second.pk}"' in page


def test_answering_again_takes_the_settings_beside_the_prompt_and_keeps_the_draft_out_of_it(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="FIRST")
    add_turn(conversation, variant, first, prompt="SECOND")
    other = make_variant("smol/other")
    url = reverse("playground:again", args=[first.pk])
    sent = prompt_form(other, prompt="a draft", temperature="1.4")
    response = alice_client.post(url, sent)
    again = Generation.objects.exclude(prompt="SECOND").get(variant=other)
    assert response["Location"] == again.get_absolute_url()
    assert (again.prompt, again.parent, again.params["temperature"]) == ("FIRST", None, 1.4)
    # Sent twice by a double click, it is one run.
    assert alice_client.post(url, sent, headers=HTMX)["HX-Redirect"] == again.get_absolute_url()
    assert Generation.objects.count() == 3
    refused = alice_client.post(url, prompt_form(other, temperature="9"), headers=HTMX)
    assert refused.status_code == 422
    assert refused["HX-Retarget"] == f"#turn-{first.pk}"


def test_a_prompt_may_follow_any_earlier_answer(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant, prompt="FIRST")
    add_turn(conversation, variant, first, prompt="SECOND")
    page = page_of(alice_client, conversation, reply=first.pk)
    assert "SECOND" not in page
    assert f'name="parent" value="{first.pk}"' in page


@pytest.mark.parametrize("where", ["at", "edit", "reply", "before"])
def test_a_turn_of_another_conversation_is_not_found(
    where: str, alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    foreign = add_turn(make_conversation(alice), variant)
    for wanted in (foreign.pk, uuid.uuid4(), "nonsense"):
        assert alice_client.get(conversation.get_absolute_url(), {where: wanted}).status_code == 404


def test_nobody_reaches_what_is_not_theirs(
    alice: User, bob_client: Client, client: Client, visitor_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    turn = add_turn(conversation, variant)
    addresses = {
        name: reverse(f"playground:{name}", args=[conversation.pk])
        for name in ("conversation", "rename", "changes", "delete", "restore")
    }
    again, context = reverse("playground:again", args=[turn.pk]), reverse("playground:context")
    sent = prompt_form(variant, conversation=str(conversation.pk))
    for stranger in (bob_client, client, visitor_client):
        for name in ("conversation", "rename", "changes"):
            assert stranger.get(addresses[name]).status_code == 404
        for url in (addresses["rename"], addresses["delete"], addresses["restore"], again, context):
            assert stranger.post(url, sent).status_code == 404
    conversation.refresh_from_db()
    assert not conversation.is_deleted
    for url in (addresses["delete"], addresses["restore"], again, context):
        assert bob_client.get(url).status_code == 405


def test_two_hundred_turns_and_fifty_siblings_open_with_the_same_queries_as_few(
    alice: User, alice_client: Client, variant: Variant, django_assert_num_queries: Any
) -> None:
    long, wide = make_conversation(alice), make_conversation(alice)
    short = make_conversation(alice)
    add_turn(short, variant)
    turn = None
    for _ in range(200):
        turn = add_turn(long, variant, turn, output="Some **words** and `code`.\n\n" * 5)
    first = add_turn(wide, variant)
    for _ in range(50):
        add_turn(wide, variant, first)
    alice_client.get(short.get_absolute_url())
    with django_assert_num_queries(10):
        page_of(alice_client, short)
    # Beside others, a turn's prompt is told apart from theirs in one query more.
    for conversation, queries in ((long, 10), (wide, 11)):
        with django_assert_num_queries(queries):
            page = page_of(alice_client, conversation)
    assert "Answer 50 of 50" in page
    page = page_of(alice_client, long)
    assert page.count("data-exchange") == 20
    assert "Show turns before (180)" in page
