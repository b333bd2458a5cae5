"""Generated requests over the whole OpenAPI document: no 5xx, no answer that the document does not know."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from tests.api.test_judgements_schemathesis import JUDGEMENTS
from tests.feedback.judgements import judge, make_generation

EXAMPLES = 20
ATTACKED = [
    ("/api/v1/feedback/", "GET"),
    ("/api/v1/feedback/", "POST"),
    ("/api/v1/feedback/{submission_id}/", "GET"),
    ("/api/v1/feedback/{submission_id}/", "PATCH"),
    ("/api/v1/feedback/{submission_id}/", "DELETE"),
    ("/api/v1/changes/", "GET"),
    ("/api/v1/cards/", "GET"),
    ("/api/v1/cards/{owner_name}/{slug}/", "GET"),
    ("/api/v1/variants/", "GET"),
    ("/api/v1/leaderboard/", "GET"),
    ("/api/v1/me/", "GET"),
    ("/api/v1/exports/", "GET"),
    ("/api/v1/exports/{table}/", "GET"),
]
# Snapshots need files on disk, and webhooks a maintainer; tests/exports and test_webhooks_api.py have their bad input.
LEFT_OUT = {
    "/api/v1/snapshots/",
    "/api/v1/snapshots/{number}/",
    "/api/v1/snapshots/{number}/files/{path}",
    "/api/v1/snapshots/{number}/tombstones/",
    "/api/v1/webhooks/",
    "/api/v1/webhooks/{endpoint_id}/",
    "/api/v1/webhooks/{endpoint_id}/deliveries/",
    "/api/v1/webhooks/{endpoint_id}/deliveries/{message_id}/redeliver/",
    "/api/v1/webhooks/{endpoint_id}/ping/",
    "/api/v1/webhooks/{endpoint_id}/secret/",
}


@cache
def _served_document() -> bytes:
    """Made once: it takes half a second, and nothing in the database changes it."""
    return Client().get(reverse("api:schema"), headers={"Accept": "application/json"}).content


@pytest.fixture
def api_schema(db: None, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The served document, with ids that exist: random ones would only ever test the 404."""
    document = json.loads(_served_document())
    own, foreign = make_generation(alice), make_generation(bob)
    generation = document["components"]["schemas"]["Submission"]["properties"]["generation"]
    generation["enum"] = [str(own.pk), str(judge(alice).generation_id), str(foreign.pk)]
    submissions = [str(judge(owner).pk) for owner in (alice, alice, bob)]
    for operation in document["paths"]["/api/v1/feedback/{submission_id}/"].values():
        for parameter in operation["parameters"]:
            if parameter["name"] == "submission_id":
                parameter["schema"]["enum"] = submissions
    # The test's own connection has to outlive each request, as Django's test client sees to.
    for signal in (request_started, request_finished):
        monkeypatch.setattr(signal, "receivers", [])
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    return schema


@pytest.fixture
def authorization(alice: User, settings: Any) -> dict[str, str]:
    settings.API_RATE = settings.FEEDBACK_RATE = "1000000/minute"
    _token, secret = create_token(alice, name="attack", scopes=[Scope.READ, Scope.SUBMIT], lifetime=None)
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), ATTACKED)
def test_every_answer_is_documented(
    api_schema: Any, authorization: dict[str, str], path: str, method: str, mode: GenerationMode
) -> None:
    @given(case=api_schema[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def attack(case: Any) -> None:
        # Left out: what a schema cannot say is refused too, such as rating beside rating_min, or a card that is not
        # there.
        case.call_and_validate(
            headers={**authorization, "Accept-Encoding": "identity"}, excluded_checks=[positive_data_acceptance]
        )

    attack()


def test_no_operation_is_left_out(api_schema: Any) -> None:
    operations = {(each.ok().path, each.ok().method.upper()) for each in api_schema.get_all_operations()}
    attacked = {*ATTACKED, *JUDGEMENTS}
    assert {path for path, _method in operations} == {path for path, _method in attacked} | LEFT_OUT
    assert {each for each in operations if each[0] not in LEFT_OUT} == attacked
