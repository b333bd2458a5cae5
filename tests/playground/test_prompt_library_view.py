"""The prompt library: collections and cards' examples, one click to try, with what others rated."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from statsmodels.stats.proportion import proportion_confint

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.feedback.services import submit_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.playground.models import LibraryPrompt, PromptCollection
from tests.playground.turns import actor_of, add_turn, make_conversation, make_variant

pytestmark = pytest.mark.django_db
URL = "/playground/library/"


def test_prompts_are_one_click_from_the_playground_with_their_ratings(
    client: Client, alice: User, bob: User, charlie: User, django_assert_max_num_queries: Any
) -> None:
    variant: Variant = make_variant(widget=[{"text": "Name three balances.", "example_title": "List"}])
    collection = PromptCollection.objects.create(slug="logic", title="Logic & riddles", description="Short ones.")
    LibraryPrompt.objects.create(collection=collection, title="Socks", prompt="Ten <socks>?", system_prompt="Be brief.")
    hidden = PromptCollection.objects.create(slug="hidden", title="Not yet", is_published=False)
    LibraryPrompt.objects.create(collection=hidden, prompt="secret prompt")
    for person, thumb in ((alice, "up"), (bob, "up"), (charlie, "down")):
        turn = add_turn(make_conversation(person), variant, prompt="Ten <socks>?")
        submit_feedback(actor_of(person), turn, {"thumb": thumb})
    withdrawn = add_turn(make_conversation(alice), variant, prompt="Ten <socks>?")
    submit_feedback(actor_of(alice), withdrawn, {"thumb": "down"})
    withdraw_feedback(actor_of(alice), withdrawn)
    with django_assert_max_num_queries(6):
        page = client.get(URL).content.decode()
    low, high = proportion_confint(2, 3, method="wilson")
    assert f"2 of 3 good · {100 * low:.0f} to {100 * high:.0f} %" in page
    assert "not rated yet" in page
    assert "Logic &amp; riddles" in page
    assert "Ten &lt;socks&gt;?" in page
    assert "secret prompt" not in page
    link = next(part for part in page.split('"') if "Ten+%3Csocks" in part).replace("&amp;", "&")
    tried = client.get(link).content.decode()
    assert "Ten &lt;socks&gt;?</textarea>" in tried
    assert "Be brief.</textarea>" in tried


def test_maintainers_keep_collections_in_the_admin(maintainer_client: Client, alice_client: Client) -> None:
    sent = {
        "title": "Logic", "slug": "logic", "description": "", "is_published": "on", "position": "0",
        "prompts-TOTAL_FORMS": "1", "prompts-INITIAL_FORMS": "0", "prompts-0-position": "0",
        "prompts-0-title": "Socks", "prompts-0-prompt": "Ten socks?", "prompts-0-system_prompt": "",
    }  # fmt: skip
    url = "/admin/playground/promptcollection/add/"
    assert maintainer_client.post(url, sent).status_code == 302
    collection = PromptCollection.objects.get()
    assert collection.author is not None
    assert [each.prompt for each in collection.prompts.all()] == ["Ten socks?"]
    assert alice_client.post(url, sent | {"slug": "other"}).status_code in {302, 403}
    assert PromptCollection.objects.count() == 1
    assert Group.objects.filter(name="maintainer").exists()


def test_without_any_prompt_the_page_teaches(client: Client, variant: Variant) -> None:
    assert "No prompts yet" in client.get(URL).content.decode()
