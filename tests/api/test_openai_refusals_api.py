"""What `/v1/chat/completions` refuses, of whom and when, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import Client

from portal.accounts.models import ApiToken, Scope, User
from portal.api.openai import run_view
from portal.catalog.models import Variant
from portal.playground.models import Conversation, Generation
from tests.api.chat import BODY, CHAT, USER, Ask, error_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_broker", "answered_at_once")]

# What is sent

REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"messages": ...}, "messages", "list of at least one"),
    ({"messages": []}, "messages", "list of at least one"),
    ({"messages": "Hello"}, "messages", "list of at least one"),
    ({"messages": [USER] * 2049}, "messages", "At most 2048"),
    ({"messages": ["Hello"]}, "messages[0]", "object with role"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "Must be one of"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role", "Must be one of"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "Must be a text"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "Must be a text"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "at least one"),
    ({"messages": [{**USER, "name": "Bob"}]}, "messages[0].name", "“name”"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages[0].content[0]",
        "not “image_url”",
    ),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "Only text parts"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text", "text"),
    ({"messages": [USER, {"role": "assistant", "content": "Well"}]}, "messages[1].role", "user's"),
    ({"messages": [{"role": "user", "content": "  "}]}, "messages", "Write a prompt"),
    ({"messages": [{"role": "user", "content": "x" * 32_001}]}, "messages", "At most 32000 characters"),
    ({"messages": [{"role": "system", "content": "x" * 8_001}, USER]}, "messages", "At most 8000 characters"),
    ({"messages": [{"role": "assistant", "content": "a\x00b"}, USER]}, "messages", "Null characters"),
    ({"model": ...}, "model", "Name a model"),
    ({"model": 5}, "model", "Name a model"),
    ({"temperature": 2.5}, "temperature", "at most 2"),
    ({"temperature": "hot"}, "temperature", "number"),
    ({"top_p": 0}, "top_p", "above 0"),
    ({"max_tokens": 0}, "max_tokens", "max_tokens"),
    ({"max_completion_tokens": 0}, "max_completion_tokens", "max_completion_tokens"),
    ({"max_completion_tokens": 2049}, "max_completion_tokens", "from 1 to 2048"),
    ({"max_tokens": 2049}, "max_tokens", "max_tokens: must be a whole number from 1 to 2048"),
    ({"max_completion_tokens": 999_999}, "max_completion_tokens", "from 1 to 2048"),
    ({"max_tokens": 8, "max_completion_tokens": 9}, "max_tokens", "Differs"),
    ({"seed": -1}, "seed", "whole number"),
    ({"seed": 1.5}, "seed", "whole number"),
    ({"stop": ["x"] * 9}, "stop", "at most 8"),
    ({"stop": [""]}, "stop", "1 to 100"),
    ({"stop": 5}, "stop", "list of strings"),
    ({"stop": [5]}, "stop", "list of strings"),
    ({"logit_bias": {"a": 1}}, "logit_bias", "token ids"),
    ({"logit_bias": {"5": 101}}, "logit_bias", "at most 100"),
    ({"logit_bias": [1]}, "logit_bias", "object"),
    ({"logprobs": 5}, "logprobs", "true or false"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "20"),
    ({"logprobs": True, "top_logprobs": "many"}, "top_logprobs", "whole number"),
    ({"top_logprobs": 3}, "top_logprobs", "logprobs: true"),
    ({"stream": "yes"}, "stream", "true or false"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
    ({"stream": True, "stream_options": []}, "stream_options", "object"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage", "true or false"),
    ({"stream": True, "stream_options": {"chunks": 5}}, "stream_options.chunks", "“chunks”"),
    ({"user": 5}, "user", "text"),
    # Four may be under way at a time.
    ({"n": 5}, "n", "1 to 4"),
    ({"n": 0}, "n", "1 to 4"),
    ({"n": True}, "n", "whole number"),
    ({"n": "2"}, "n", "whole number"),
    ({"tools": [{"type": "function"}]}, "tools", "“tools”"),
    ({"tool_choice": "auto"}, "tool_choice", "“tool_choice”"),
    ({"response_format": {"type": "json_object"}}, "response_format", "“response_format”"),
    ({"service_tier": ["auto"]}, "service_tier", "“service_tier”"),
    ({"reasoning_effort": "high"}, "reasoning_effort", "“reasoning_effort”"),
    ({"store": True}, "store", "“store”"),
    ({"no_such_thing": 1}, "no_such_thing", "“no_such_thing”"),
]


@pytest.mark.parametrize(("change", "param", "words"), REFUSED)
def test_what_is_refused_is_named_and_starts_nothing(
    ask: Ask, change: dict[str, Any], param: str | None, words: str
) -> None:
    response = ask(**change)
    error = error_of(response)
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert words in error["message"]
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("model", ["smol/other", "smol/lm2:int8", "nonsense", "x" * 10_000, "smol/lm2:bf16\n"])
def test_a_model_that_does_not_run_here_is_not_found(ask: Ask, model: str) -> None:
    response = ask(model=model)
    assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"model": ', 400, "line 1, column 11"),
        (b"[]", 400, "JSON object"),
        (b"\xff", 400, "UTF-8"),
        (b'{"temperature": NaN}', 400, "number"),
        (b"[" * 100_000, 400, "nested"),
        (b" " * 1_048_577, 413, "1048576 bytes"),
    ],
)
def test_a_broken_body_is_refused_in_words(
    alice: User, token_client: Callable[..., Client], body: bytes, status: int, words: str
) -> None:
    response = token_client(alice, Scope.SUBMIT).generic("POST", CHAT, body, content_type="application/json")
    assert response.status_code == status
    assert words in error_of(response)["message"]


def test_only_json_is_taken(alice: User, token_client: Callable[..., Client]) -> None:
    response = token_client(alice, Scope.SUBMIT).generic("POST", CHAT, b"{}", content_type="text/plain")
    assert (response.status_code, error_of(response)["code"]) == (415, "unsupported_media_type")


# Who may


def test_without_a_token_nobody_may_not_even_a_session(alice_client: Client, variant: Variant) -> None:
    for client in (Client(), alice_client):
        response = client.post(CHAT, json.dumps(BODY), content_type="application/json")
        assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer sy_wrong", "Bearer", "Bearer a b", "Basic YTpi", "Bearer sy_é"])
def test_a_wrong_token_is_refused(variant: Variant, header: str) -> None:
    client = Client(headers={"Authorization": header})
    response = client.post(CHAT, json.dumps(BODY), content_type="application/json")
    assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")


def test_a_revoked_token_is_refused(ask: Ask) -> None:
    ApiToken.objects.all().delete()
    assert ask().status_code == 401


def test_a_token_needs_the_scope(alice: User, variant: Variant, token_client: Callable[..., Client]) -> None:
    response = token_client(alice, Scope.READ).post(CHAT, json.dumps(BODY), content_type="application/json")
    assert (response.status_code, error_of(response)["code"]) == (403, "insufficient_scope")
    assert 'scope="submit"' in response["WWW-Authenticate"]


@pytest.mark.parametrize("limit", ["GENERATION_RATE", "API_RATE"])
def test_beyond_a_rate_it_says_when_to_try_again(ask: Ask, settings: Any, limit: str) -> None:
    setattr(settings, limit, "1/minute")
    assert ask().status_code == 200
    response = ask()
    assert (response.status_code, error_of(response)["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(response["Retry-After"]) <= 60
    assert Generation.objects.count() == 1


def test_only_so_many_run_at_a_time(ask: Ask, settings: Any) -> None:
    settings.MAX_CONCURRENT_GENERATIONS = 1
    ask()
    response = ask()
    assert (response.status_code, error_of(response)["type"]) == (429, "requests")
    assert int(response["Retry-After"]) > 0


# Addresses and failures


def test_it_can_only_be_posted(alice: User, token_client: Callable[..., Client]) -> None:
    response = token_client(alice, Scope.SUBMIT).get(CHAT)
    assert (response.status_code, response["Allow"], error_of(response)["code"]) == (405, "POST", "method_not_allowed")


@pytest.mark.parametrize("path", ["completions/", "chat/completions/", "embeddings", "", "chat", "models/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_other_addresses_say_what_there_is(client: Client, path: str, method: str) -> None:
    response = getattr(client, method)(f"/v1/{path}")
    assert response.status_code == 404
    assert "/v1/chat/completions" in error_of(response)["message"]


def test_a_database_that_is_away_is_said_so(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_view, "prepare_generation", mock.Mock(side_effect=OperationalError("away")))
    response = ask()
    assert (response.status_code, error_of(response)["code"]) == (503, "unavailable")
    assert response["Retry-After"]


def test_what_nobody_expected_is_an_error_object_with_an_id_to_quote(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run_view, "prepare_generation", mock.Mock(side_effect=RuntimeError("secret detail")))
    response = ask()
    assert (response.status_code, error_of(response)["type"]) == (500, "server_error")
    assert response["X-Request-ID"] in error_of(response)["message"]
    assert "secret" not in response.content.decode()
    assert "secret detail" in caplog.text


def test_what_is_left_is_told_and_at_the_limit_when_to_return(ask: Ask, settings: Any) -> None:
    settings.API_TOKEN_RUNS_PER_DAY, settings.ACCOUNT_TOKENS_PER_DAY = 1, 0
    response = ask()
    assert response["x-ratelimit-limit-requests"] == "1"
    assert response["x-ratelimit-remaining-requests"] == "0"
    assert response["x-ratelimit-reset-requests"].endswith("s")
    assert int(response["x-ratelimit-remaining-tokens"]) > 0
    refused = ask()
    assert (refused.status_code, error_of(refused)["type"]) == (429, "requests")
    assert 86_000 < int(refused["Retry-After"]) <= 86_400
