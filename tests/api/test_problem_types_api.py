"""Every refusal that a program can meet has a type, and at its address stands what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from portal.accounts.models import Scope, User
from portal.api.problems import MEDIA_TYPE, PROBLEMS
from portal.catalog.models import Gate
from tests.feedback.judgements import make_variant

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.operations.failing_urls")]
FEEDBACK = "/api/v1/feedback/"
JSON = "application/json"
TOO_LARGE = b'"' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"'
ACCEPT_JSON = {"Accept": JSON}

REFUSALS: dict[str, tuple[int, str, Callable[[Client], Any]]] = {
    "broken body": (400, "malformed-json", lambda c: c.post(FEEDBACK, b"{", JSON)),
    "absurd limit": (400, "invalid-request", lambda c: c.get(FEEDBACK, {"limit": "1001"})),
    "malformed request": (400, "invalid-request", lambda c: c.get("/api/v1/fail/malformed/")),
    "no such thing": (404, "not-found", lambda c: c.get(f"{FEEDBACK}6f1f5a0e-0000-4000-8000-000000000000/")),
    "no such address below the API": (404, "not-found", lambda c: c.get("/api/v1/nothing/")),
    "no such address beside it": (404, "not-found", lambda c: c.get("/api/nothing/")),
    "no such page": (404, "not-found", lambda c: c.get("/nothing/", headers=ACCEPT_JSON)),
    "wrong method": (405, "method-not-allowed", lambda c: c.delete(FEEDBACK)),
    "wrong method of a page": (405, "method-not-allowed", lambda c: c.get("/take-form/", headers=ACCEPT_JSON)),
    "no such format": (406, "not-acceptable", lambda c: c.get(FEEDBACK, headers={"Accept": "image/png"})),
    "too large a body": (413, "body-too-large", lambda c: c.post(FEEDBACK, TOO_LARGE, JSON)),
    "too large a form": (
        413,
        "body-too-large",
        lambda c: c.post("/read-body/", TOO_LARGE, "application/x-www-form-urlencoded", headers=ACCEPT_JSON),
    ),
    "another type of body": (415, "unsupported-media-type", lambda c: c.post(FEEDBACK, b"thumb=up", "text/plain")),
    "denied": (403, "forbidden", lambda c: c.get("/api/v1/fail/denied/")),
    "limit of a page": (429, "rate-limited", lambda c: c.get("/fail/limited/", headers=ACCEPT_JSON)),
    "a bug": (500, "internal", lambda c: c.get("/api/v1/fail/broken/")),
    "database away": (503, "unavailable", lambda c: c.get("/api/v1/fail/database-away/")),
    "store away": (503, "unavailable", lambda c: c.get("/api/v1/fail/store-away/")),
    "broker away": (503, "unavailable", lambda c: c.get("/api/v1/fail/broker-away/")),
    "form without its token": (
        403,
        "form-not-verified",
        lambda c: Client(enforce_csrf_checks=True).post("/accounts/login/", {}, headers=ACCEPT_JSON),
    ),
}


def leads_to(problem: dict[str, Any]) -> tuple[int, str]:
    """The status and the title that stand at the problem's type."""
    page, _, fragment = problem["type"].partition("#")
    response = Client().get(page)
    assert response.status_code == 200
    row = re.search(rf'<tr id="{fragment}">.*?<td class="number">(\d+)</td><td>(.*?)</td>', response.content.decode())
    assert row is not None, problem
    return int(row[1]), row[2]


@pytest.fixture
def program(token_client: Callable[..., Client], alice: User) -> Client:
    client = token_client(alice, Scope.READ, Scope.SUBMIT)
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_type_of_each_refusal_leads_to_what_it_means(program: Client, refusal: str) -> None:
    status, code, ask = REFUSALS[refusal]
    response = ask(program)
    problem = response.json()
    assert (response.status_code, problem["status"], response["Content-Type"]) == (status, status, MEDIA_TYPE)
    assert problem["type"] == f"{reverse('api:problems')}#{code}"
    assert problem["request_id"] == response["X-Request-ID"]
    assert leads_to(problem) == (status, str(PROBLEMS[code][1]).replace("'", "&#x27;"))


def test_so_do_those_of_a_rate_a_token_and_a_gate(program: Client, alice: User, settings: Any) -> None:
    variant = make_variant()
    variant.card.gate = Gate.APPROVAL
    variant.card.save()
    gated = program.post("/api/v1/generations/", {"variant": variant.model_id, "prompt": "Hello"}, JSON)
    scope = program.get("/api/v1/webhooks/")
    unknown = Client(headers={"Authorization": "Bearer sy_none"}).get(FEEDBACK)
    settings.API_RATE = "1/hour"
    program.get(FEEDBACK)
    limited = program.get(FEEDBACK)
    for response, status in ((gated, 403), (scope, 403), (unknown, 401), (limited, 429)):
        assert (response.status_code, leads_to(response.json())[0]) == (status, status)
