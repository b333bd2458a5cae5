"""Raw completion and scoring: the same form, rows and queue, without a chat template."""

from __future__ import annotations

import pytest
from django.test import Client

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.active_run import ActiveRun
from portal.playground.models import Generation, Kind
from tests.playground.turns import add_turn, make_conversation, make_variant, prompt_form

pytestmark = pytest.mark.django_db


def test_a_text_is_sent_as_it_stands_and_goes_on_where_it_ends(
    alice: User, alice_client: Client, variant: Variant
) -> None:
    page = alice_client.get("/playground/", {"kind": "completion"}).content.decode()
    assert "Text to continue" in page
    assert 'id="system-prompt-fold"' not in page
    alice_client.post("/playground/", prompt_form(variant, kind="completion", prompt="Once upon"))
    first = Generation.objects.get()
    request = ActiveRun(first, None).request(10)  # type: ignore[arg-type]
    assert (first.kind, request.completion, [each.content for each in request.messages]) == (
        Kind.COMPLETION, True, ["Once upon"],
    )  # fmt: skip
    conversation = make_conversation(alice)
    before = add_turn(conversation, variant, prompt="Once upon", output=" a *time*", kind=Kind.COMPLETION)
    page = alice_client.get(conversation.get_absolute_url()).content.decode()
    assert "Once upon a *time*</textarea>" in page
    assert '<div class="answer__text answer__text--raw"> a *time*</div>' in page
    sent = prompt_form(variant, kind="completion", prompt="Once upon a *time*", parent=str(before.pk))
    alice_client.post(conversation.get_absolute_url(), sent)
    assert Generation.objects.get(parent=before).messages == [{"role": "user", "content": "Once upon a *time*"}]


def test_a_text_is_scored(alice: User, alice_client: Client, variant: Variant) -> None:
    assert "Text to score" in alice_client.get("/playground/", {"kind": "score"}).content.decode()
    alice_client.post("/playground/", prompt_form(variant, kind="score", prompt="A given text."))
    request = ActiveRun(Generation.objects.get(), None).request(10)  # type: ignore[arg-type]
    assert (request.score, request.completion, request.answer_prefix) == (True, True, "")
    turn = add_turn(make_conversation(alice), variant, prompt="A given text.", kind=Kind.SCORE)
    page = alice_client.get(turn.get_absolute_url()).content.decode()
    assert "See the perplexity" in page
    # Nothing is sampled and nothing branches: none of it stands there to be set.
    for absent in (
        'name="temperature"',
        'name="seed"',
        "more-parameters-fold",
        "presets-fold",
        "Branch here",
        ">Top-p<",
    ):
        assert absent not in page
    assert 'name="top_logprobs"' in page


def test_a_text_to_score_is_measured_without_room_for_an_answer(alice_client: Client, variant: Variant) -> None:
    sent = {"variant": variant.model_id, "prompt": "word " * 40, "kind": "score", "max_tokens": "999999"}
    variant.__class__.objects.filter(pk=variant.pk).update(facts={"context_length": 120})
    page = alice_client.post("/playground/context/", sent).content.decode()
    assert "it would be cut there" not in page
    assert (
        "it would be cut there"
        in alice_client.post("/playground/context/", sent | {"kind": "completion"}).content.decode()
    )


def test_an_unknown_kind_is_refused_or_shown_as_chat(alice_client: Client, variant: Variant) -> None:
    assert "Text to" not in alice_client.get("/playground/", {"kind": "<b>"}).content.decode()
    assert alice_client.post("/playground/", prompt_form(variant, kind="sing")).status_code == 422
    assert not Generation.objects.exists()


def test_weights_without_a_chat_template_are_shown_as_what_continues_texts(alice_client: Client) -> None:
    base = make_variant("acme/base", facts={"chat_template": ""})
    page = alice_client.get("/playground/", {"variant": base.model_id}).content.decode()
    assert 'name="kind" value="completion"' in page
    page = alice_client.get("/playground/", {"variant": base.model_id, "kind": "chat"}).content.decode()
    assert 'name="kind" value="chat"' in page
    assert "have no chat template" in page
    assert "have no chat template" not in alice_client.get("/playground/").content.decode()
