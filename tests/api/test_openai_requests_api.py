"""What `/v1/chat/completions` takes, and the run that it starts."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from portal.accounts.models import User
from portal.playground.models import Generation
from tests.api.chat import Ask

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_broker", "answered_at_once")]


def only_generation() -> Generation:
    return Generation.objects.select_related("conversation").get()


def test_a_run_belongs_to_the_tokens_person_and_is_named_in_the_answer(ask: Ask, alice: User) -> None:
    response = ask()
    assert response.status_code == 200
    generation = only_generation()
    assert (generation.conversation.owner, generation.conversation.visitor) == (alice, None)
    assert uuid.UUID(response.json()["id"].removeprefix("chatcmpl-")) == generation.pk
    assert response.json()["model"] == "smol/lm2:bf16"


def test_a_card_alone_names_its_first_variant(ask: Ask) -> None:
    assert ask(model="smol/lm2").json()["model"] == "smol/lm2:bf16"


def test_messages_are_stored_exactly_as_sent(ask: Ask) -> None:
    ask(
        messages=[
            {"role": "developer", "content": " Be brief.\n"},
            {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": ", two"}]},
            {"role": "assistant", "content": "3", "reasoning_content": "Counting.", "tool_calls": None},
            {"role": "user", "content": "Größe 🙂"},
        ]
    )
    generation = only_generation()
    assert generation.messages == [
        {"role": "system", "content": " Be brief.\n"},
        {"role": "user", "content": "One, two"},
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "Größe 🙂"},
    ]
    assert (generation.prompt, generation.conversation.system_prompt) == ("Größe 🙂", " Be brief.\n")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5, "top_k": 5, "min_p": 0.1}, {"top_p": 0.5, "top_k": 5, "min_p": 0.1}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_completion_tokens": 8, "min_tokens": 8}, {"max_tokens": 8, "min_tokens": 8}),
        ({"max_completion_tokens": 8, "max_tokens": 8}, {"max_tokens": 8}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": ["END", "STOP"]}, {"stop": ["END", "STOP"]}),
        ({"seed": 42}, {"seed": 42}),
        ({"presence_penalty": 1, "frequency_penalty": -1}, {"presence_penalty": 1, "frequency_penalty": -1}),
        ({"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ({"logit_bias": {"50": -100}}, {"logit_bias": {"50": -100}}),
        ({"logprobs": True}, {"top_logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 5}, {"top_logprobs": 5}),
        ({"temperature": None, "stop": None, "stream_options": None}, {"temperature": 0.2, "stop": []}),
        ({}, {"temperature": 0.2, "top_p": 0.9, "max_tokens": 256}),
    ],
)
def test_each_parameter_reaches_the_run(ask: Ask, sent: dict[str, Any], stored: dict[str, Any]) -> None:
    assert ask(**sent).status_code == 200
    params = only_generation().params
    assert {name: params[name] for name in stored} == stored


@pytest.mark.parametrize(
    "harmless",
    [
        {"n": 1},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"tools": []},
        {"tool_choice": "none"},
        {"store": False},
        {"service_tier": "auto"},
        {"user": "someone"},
        {"tools": None, "functions": None, "audio": None, "anything": None},
        {"stream": False, "logprobs": False, "top_logprobs": 0},
    ],
)
def test_what_asks_for_nothing_else_than_is_done_is_taken(ask: Ask, harmless: dict[str, Any]) -> None:
    assert ask(**harmless).status_code == 200
