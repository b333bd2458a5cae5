"""Sending a prompt and following a conversation, as pages and as parts of pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from inference.events import FinishReason
from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation, State
from tests.playground.turns import DEFAULTS, add_turn, make_conversation, make_variant, prompt_form

pytestmark = pytest.mark.django_db

NEW = "/playground/"
HTMX = {"HX-Request": "true"}


# --- Beginning


def test_the_empty_page_teaches_and_shows_the_variants_defaults(client: Client) -> None:
    make_variant(widget=[{"text": "Name three balances.", "example_title": "List"}])
    page = client.get(NEW).content.decode()
    assert "What happens" in page
    assert 'value="0.2"' in page
    assert 'data-fill="Name three balances."' in page
    assert "sessionid" not in client.cookies


def test_the_page_has_words_for_a_screen_reader_for_every_end_of_an_answer(client: Client, variant: Variant) -> None:
    page = client.get(NEW).content.decode()
    assert set(re.findall(r'data-end-(\w+)="[^"]', page)) == {reason.value for reason in FinishReason}


def test_a_link_chooses_the_variant_and_the_prompt(client: Client, variant: Variant) -> None:
    other = make_variant("smol/other")
    page = client.get(NEW, {"variant": other.model_id, "prompt": "<b>hello</b>"}).content.decode()
    chosen = next(tag for tag in re.findall(r"<option[^>]*>", page) if "selected" in tag)
    assert f'value="{other.model_id}"' in chosen
    assert "&lt;b&gt;hello&lt;/b&gt;</textarea>" in page


@pytest.mark.parametrize("wanted", ["nobody/nothing:none", "x" * 5000, "<script>alert(1)</script>"])
def test_an_unknown_variant_is_said_and_the_default_is_chosen(client: Client, variant: Variant, wanted: str) -> None:
    page = client.get(NEW, {"variant": wanted}).content.decode()
    assert f'<span class="mono">{variant.model_id}</span> is chosen instead' in page
    assert "<script>alert" not in page


def test_without_a_runnable_variant_the_page_says_what_to_do(
    client: Client, superuser_client: Client, variant: Variant
) -> None:
    Variant.objects.update(is_runnable=False)
    page = client.get(NEW).content.decode()
    assert "No weights can run here yet" in page
    assert "composer" not in page
    assert "manage.py doctor" not in page
    assert "manage.py doctor" in superuser_client.get(NEW).content.decode()


def test_a_form_without_scripts_leads_to_the_conversation(client: Client, variant: Variant) -> None:
    response = client.post(NEW, prompt_form(variant, system_prompt="Be brief."))
    generation = Generation.objects.get()
    assert response.status_code == 302
    assert response["Location"] == generation.get_absolute_url()
    assert generation.conversation.system_prompt == "Be brief."
    assert generation.params["temperature"] == 0.7
    page = client.get(generation.conversation.get_absolute_url()).content.decode()
    assert '<noscript><meta http-equiv="refresh"' in page
    assert f'data-stream="{reverse("playground:events", args=[generation.pk])}"' in page
    assert "Queued at position 1" in page


def test_htmx_gets_the_conversation_and_its_true_address(client: Client, variant: Variant) -> None:
    response = client.post(NEW, prompt_form(variant), headers=HTMX)
    conversation = Conversation.objects.get()
    assert response.status_code == 200
    assert response["HX-Push-Url"] == conversation.get_absolute_url()
    assert response["HX-Retarget"] == "#playground"
    page = response.content.decode()
    assert page.startswith("<title>What is a steelyard? · Steelyard</title>")
    assert "<html" not in page
    assert "HX-Request" in response["Vary"]


def test_somebody_new_becomes_a_visitor_with_the_first_prompt_that_is_taken(client: Client, variant: Variant) -> None:
    client.post(NEW, prompt_form(variant, prompt=""))
    assert "sessionid" not in client.cookies
    client.post(NEW, prompt_form(variant))
    assert "sessionid" in client.cookies
    assert Conversation.objects.get().visitor is not None


def test_a_double_click_starts_one_run(client: Client, variant: Variant) -> None:
    sent = prompt_form(variant)
    first, second = client.post(NEW, sent), client.post(NEW, sent)
    assert first["Location"] == second["Location"]
    assert Generation.objects.count() == 1


def test_text_typed_after_a_lost_answer_is_given_back_and_not_swallowed(client: Client, variant: Variant) -> None:
    sent = prompt_form(variant, prompt="the first text")
    client.post(NEW, sent, headers=HTMX)
    response = client.post(NEW, sent | {"prompt": "the second text"}, headers=HTMX)
    page = response.content.decode()
    assert "the first text" in page
    assert "the second text</textarea>" in page
    assert "is not sent yet" in page
    assert sent["request_key"] not in page
    assert Generation.objects.count() == 1


def test_somebody_elses_key_is_refused(client: Client, alice_client: Client, variant: Variant) -> None:
    sent = prompt_form(variant)
    alice_client.post(NEW, sent)
    response = client.post(NEW, sent)
    assert response.status_code == 422
    assert "This key was used already" in response.content.decode()
    assert Generation.objects.count() == 1


# --- Refusals keep what was typed


@pytest.mark.parametrize("headers", [{}, HTMX])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": "  "}, "Write a prompt."),
        ({"temperature": "3"}, "At most 2."),
        ({"max_tokens": "5000"}, "Must be a whole number from 1 to 2048."),
        ({"variant": "nobody/nothing:none"}, "This variant cannot run here."),
        ({"request_key": ""}, "The form&#x27;s key is missing."),
        ({"system_prompt": "y" * 8_001}, "At most 8000 characters; this has 8001."),
    ],
)
def test_a_refused_form_says_why_and_gives_the_text_back(
    client: Client, variant: Variant, fields: dict[str, str], said: str, headers: dict[str, str]
) -> None:
    response = client.post(NEW, {**prompt_form(variant, prompt="My long text"), **fields}, headers=headers)
    assert response.status_code == 422
    page = response.content.decode()
    assert said in page
    assert fields.get("prompt", "My long text") in page
    assert ("<html" in page) is (headers == {})
    assert not Conversation.objects.exists()


def test_a_prompt_that_is_too_long_names_both_lengths(client: Client, variant: Variant) -> None:
    response = client.post(NEW, prompt_form(variant, prompt="z" * 32_001))
    assert response.status_code == 422
    assert "At most 32000 characters; this has 32001." in response.content.decode()


def test_hostile_text_in_a_refused_form_is_inert(client: Client, variant: Variant) -> None:
    hostile = '</textarea><script>alert(1)</script>"><img src=x onerror=alert(1)>'
    fields = {"prompt": hostile, "system_prompt": hostile, "temperature": hostile, "seed": hostile, "variant": hostile}
    page = client.post(NEW, prompt_form(variant) | fields).content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_limit_is_said_in_the_form_with_the_time_to_wait(
    client: Client, variant: Variant, settings: Settings, headers: dict[str, str]
) -> None:
    settings.GENERATION_RATE = "1/minute"
    client.post(NEW, prompt_form(variant))
    response = client.post(NEW, prompt_form(variant, prompt="One more"), headers=headers)
    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 60
    assert "Try again in" in response.content.decode()
    assert "One more</textarea>" in response.content.decode()


def test_too_many_at_once_is_said_in_the_form(client: Client, variant: Variant, settings: Settings) -> None:
    settings.MAX_CONCURRENT_GENERATIONS = 1
    client.post(NEW, prompt_form(variant))
    response = client.post(NEW, prompt_form(variant))
    assert response.status_code == 429
    assert "You have 1 answers under way" in response.content.decode()


# --- Going on


def test_the_next_turn_follows_the_last_one(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation = make_conversation(alice)
    first = add_turn(conversation, variant)
    sent = prompt_form(variant, parent=str(first.pk), prompt="And what is a tare?", seed="11")
    response = alice_client.post(conversation.get_absolute_url(), sent, headers=HTMX)
    second = conversation.generations.get(parent=first)
    assert [message["role"] for message in second.messages] == ["user", "assistant", "user"]
    page = response.content.decode()
    assert page.lstrip().startswith("<form")
    assert 'hx-swap-oob="beforeend:#turns"' in page
    # The composer is ready for the turn after: another key, this turn as the parent, the settings as they were.
    assert f'value="{second.pk}"' in page
    assert sent["request_key"] not in page
    assert 'value="11"' in page
    assert "tare?</textarea>" not in page


def test_a_turn_waits_for_the_one_before(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation = make_conversation(alice)
    running = add_turn(conversation, variant, state=State.RUNNING)
    response = alice_client.post(conversation.get_absolute_url(), prompt_form(variant, parent=str(running.pk)))
    assert response.status_code == 422
    assert "The answer before is still being written." in response.content.decode()
    assert conversation.generations.count() == 1


def test_a_parent_of_another_conversation_is_refused(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation, other = make_conversation(alice), make_conversation(alice)
    add_turn(conversation, variant)
    foreign = add_turn(other, variant)
    response = alice_client.post(conversation.get_absolute_url(), prompt_form(variant, parent=str(foreign.pk)))
    assert response.status_code == 422
    assert "is not in this conversation" in response.content.decode()


def test_an_empty_system_prompt_takes_the_old_one_away(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation = make_conversation(alice, system_prompt="Be brief.")
    first = add_turn(conversation, variant)
    alice_client.post(conversation.get_absolute_url(), prompt_form(variant, parent=str(first.pk), system_prompt=""))
    conversation.refresh_from_db()
    assert conversation.system_prompt == ""
    assert conversation.generations.get(parent=first).messages[0]["role"] == "user"


def test_a_reopened_conversation_shows_every_turn_and_keeps_the_settings(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice, system_prompt="Be brief.")
    first = add_turn(conversation, variant, prompt="One?", output="**Two.**")
    add_turn(conversation, variant, first, prompt="Three?", params={**first.params, "temperature": 1.35})
    page = alice_client.get(conversation.get_absolute_url()).content.decode()
    assert page.index("One?") < page.index("<strong>Two.</strong>") < page.index("Three?")
    assert 'value="1.35"' in page
    assert "Be brief.</textarea>" in page
    assert "data-stream" not in page
    assert reverse("feedback:panel", args=[first.pk]) in page


def test_a_conversation_takes_a_constant_number_of_queries(
    alice: User, alice_client: Client, variant: Variant, django_assert_max_num_queries: Any
) -> None:
    conversation = make_conversation(alice)
    turn = None
    for _ in range(25):
        turn = add_turn(conversation, variant, turn)
    # session, user, conversation, variants, default variant, the branch in two, quota in two, presets
    with django_assert_max_num_queries(10):
        assert alice_client.get(conversation.get_absolute_url()).status_code == 200


def test_a_conversation_whose_variant_runs_no_more_goes_on_with_another(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    make_variant("smol/other")
    Variant.objects.filter(pk=variant.pk).update(is_runnable=False)
    page = alice_client.get(conversation.get_absolute_url()).content.decode()
    assert 'value="smol/other:bf16"' in page
    Variant.objects.update(is_runnable=False)
    page = alice_client.get(conversation.get_absolute_url()).content.decode()
    assert "this conversation cannot go on for now" in page


def test_pages_are_not_cached_by_anybody(alice: User, alice_client: Client, variant: Variant) -> None:
    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    for url in (NEW, conversation.get_absolute_url(), reverse("playground:conversations")):
        assert "no-store" in alice_client.get(url)["Cache-Control"]


def test_defaults_of_the_test_variant_are_what_the_page_shows(client: Client, variant: Variant) -> None:
    page = client.get(NEW).content.decode()
    for value in DEFAULTS.values():
        assert f'value="{value}"' in page
