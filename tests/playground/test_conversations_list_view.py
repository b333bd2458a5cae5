"""Listing, finding, naming, deleting and restoring conversations; and what the sweep purges."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.feedback.services import submit_feedback
from portal.playground.models import Conversation, Generation, State
from portal.playground.retention import purge_conversations
from tests.playground.turns import actor_of, add_turn, make_conversation

pytestmark = pytest.mark.django_db
LIST = "/playground/conversations/"


def test_the_list_shows_ones_own_newest_first(alice: User, bob: User, alice_client: Client, variant: Variant) -> None:
    for title in ("older", "newer"):
        add_turn(make_conversation(alice, title), variant)
    add_turn(make_conversation(bob, "somebody else's"), variant)
    page = alice_client.get(LIST).content.decode()
    assert page.index(">newer<") < page.index(">older<")
    assert "somebody else" not in page
    assert variant.model_id in page
    assert "1 turn<" in page


def test_a_visitors_conversations_are_listed_in_their_browser_alone(
    visitor: uuid.UUID, visitor_client: Client, client: Client, alice_client: Client, variant: Variant
) -> None:
    add_turn(make_conversation(visitor, "Anonymous question"), variant)
    assert "Anonymous question" in visitor_client.get(LIST).content.decode()
    for stranger in (client, alice_client):
        page = stranger.get(LIST).content.decode()
        assert "Anonymous question" not in page
        assert "No conversations yet" in page


def test_the_list_has_pages_and_a_constant_number_of_queries(
    alice: User, alice_client: Client, variant: Variant, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        add_turn(make_conversation(alice, f"Number {number}"), variant)
    # session, user, count, page, variants
    with django_assert_max_num_queries(5):
        first = alice_client.get(LIST).content.decode()
    assert "Page 1 of 2" in first
    assert "Number 4" in alice_client.get(LIST, {"page": "2"}).content.decode()
    for page in ("0", "-1", "99999999999999999999", "x"):
        assert alice_client.get(LIST, {"page": page}).status_code == 200


def test_search_finds_words_of_titles_prompts_and_answers_of_ones_own(
    alice: User, bob: User, alice_client: Client, variant: Variant
) -> None:
    for title, prompt, output in (
        ("Balances", "How heavy?", "Two stone."),
        ("Ships", "A lighthouse keeper", "50% fog"),
    ):
        add_turn(make_conversation(alice, title), variant, prompt=prompt, output=output)
    add_turn(make_conversation(bob, "Bob's lighthouse"), variant)

    def found(words: str) -> list[bool]:
        page = alice_client.get(LIST, {"q": words}).content.decode()
        assert "s lighthouse" not in page  # a token may have "Bob" in it
        return [title in page for title in ("Balances", "Ships")]

    assert found("LIGHTHOUSE") == [False, True]
    assert found("stone heavy") == [True, False]
    assert found("balances") == [True, False]
    assert found("50%") == [False, True]
    assert found("stone fog") == [False, False]
    assert "No conversation has “&lt;b&gt;”" in alice_client.get(LIST, {"q": "<b>"}).content.decode()
    assert alice_client.get(LIST, {"q": "a\x00b" * 200}).status_code == 200


def test_a_title_is_changed_and_a_wrong_one_is_refused_with_its_limit(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice, "old")
    add_turn(conversation, variant)
    url = reverse("playground:rename", args=[conversation.pk])
    assert 'value="old"' in alice_client.get(url).content.decode()
    assert alice_client.post(url, {"title": "  A  better\nname "}).status_code == 302
    conversation.refresh_from_db()
    assert conversation.title == "A better name"
    for wrong, said in (
        ("", "Write a title."),
        ("x" * 121, "At most 120 characters; this has 121"),
        ("a\x00", "Null"),
    ):
        refused = alice_client.post(url, {"title": wrong})
        assert refused.status_code == 422
        assert said in refused.content.decode()
    conversation.refresh_from_db()
    assert conversation.title == "A better name"


def test_deleting_hides_stops_and_can_be_undone(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation = make_conversation(alice, "Doomed")
    first = add_turn(conversation, variant)
    running = add_turn(conversation, variant, first, state=State.QUEUED)
    response = alice_client.post(reverse("playground:delete", args=[conversation.pk]), follow=True)
    page = response.content.decode()
    assert "“Doomed” is deleted." in page
    assert f'href="{conversation.get_absolute_url()}"' not in page
    running.refresh_from_db()
    assert running.state == State.CANCELLED
    for url in (conversation.get_absolute_url(), reverse("playground:generation", args=[first.pk])):
        assert alice_client.get(url).status_code == 404
    page = alice_client.get(LIST, {"show": "deleted"}).content.decode()
    assert "Doomed" in page
    assert "restored for 7 days" in page
    undone = alice_client.post(reverse("playground:restore", args=[conversation.pk]))
    assert undone["Location"] == conversation.get_absolute_url()
    assert alice_client.get(conversation.get_absolute_url()).status_code == 200
    assert alice_client.post(reverse("playground:restore", args=[conversation.pk])).status_code == 404


def test_the_sweep_purges_what_was_deleted_long_ago_and_keeps_what_was_judged(
    alice: User, variant: Variant, settings: object
) -> None:
    old, recent, judged = (make_conversation(alice, name) for name in ("old", "recent", "judged"))
    turns = {each.title: add_turn(each, variant) for each in (old, recent, judged)}
    submit_feedback(actor_of(alice), turns["judged"], {"thumb": "up"})
    ago = timezone.now() - timedelta(days=8)
    Conversation.objects.filter(pk__in=[old.pk, judged.pk]).update(deleted_at=ago)
    recent.delete_softly()
    assert purge_conversations() == 1
    assert set(Conversation.objects.values_list("title", flat=True)) == {"recent", "judged"}
    assert not Generation.objects.filter(pk=turns["old"].pk).exists()
    assert purge_conversations() == 0
