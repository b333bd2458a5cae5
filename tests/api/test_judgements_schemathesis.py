"""Generated requests over what the document says of judging: no 5xx, no answer that it does not know."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import one_of
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from portal.accounts.models import Scope, User
from portal.accounts.roles import Role
from portal.accounts.services import create_token
from portal.feedback.models import Campaign, Questionnaire, ReviewState
from portal.reviews.models import Replay, ReplayRun
from portal.reviews.services.limitations import make_limitation
from tests.catalog.shelf import make_card
from tests.feedback.judgements import judge, make_generation
from tests.reviews.desk import give_verdict, item_of

EXAMPLES = 10
METHODS = ("get", "post", "patch", "delete")
QUESTIONNAIRE = "/api/v1/questionnaires/{slug}/{version}/"
JUDGEMENTS = [
    ("/api/v1/cards/{owner_name}/{slug}/facts/", "GET"),
    ("/api/v1/cards/{owner_name}/{slug}/comparison/", "GET"),
    ("/api/v1/cards/{owner_name}/{slug}/limitations/", "GET"),
    ("/api/v1/cards/{owner_name}/{slug}/revisions/", "GET"),
    ("/api/v1/cards/{owner_name}/{slug}/revisions/{number}/", "GET"),
    ("/api/v1/cards/{owner_name}/{slug}/revisions/{number}/readme/", "GET"),
    ("/api/v1/campaigns/", "GET"),
    ("/api/v1/campaigns/", "POST"),
    ("/api/v1/campaigns/{slug}/", "GET"),
    ("/api/v1/campaigns/{slug}/", "PATCH"),
    ("/api/v1/campaigns/{slug}/results/", "GET"),
    ("/api/v1/questionnaires/", "GET"),
    ("/api/v1/questionnaires/", "POST"),
    (QUESTIONNAIRE, "GET"),
    (QUESTIONNAIRE, "PATCH"),
    (QUESTIONNAIRE, "DELETE"),
    (f"{QUESTIONNAIRE}draft/", "POST"),
    (f"{QUESTIONNAIRE}publish/", "POST"),
    (f"{QUESTIONNAIRE}questions/", "POST"),
    (f"{QUESTIONNAIRE}questions/{{key}}/", "PATCH"),
    (f"{QUESTIONNAIRE}questions/{{key}}/", "DELETE"),
    (f"{QUESTIONNAIRE}questions/{{key}}/move/", "POST"),
    (f"{QUESTIONNAIRE}translations/{{language}}/", "PATCH"),
    ("/api/v1/submissions/", "GET"),
    ("/api/v1/submissions/", "POST"),
    ("/api/v1/submissions/check/", "POST"),
    ("/api/v1/submissions/{submission_id}/", "GET"),
    ("/api/v1/submissions/{submission_id}/", "PATCH"),
    ("/api/v1/submissions/{submission_id}/", "DELETE"),
    ("/api/v1/me/contributions/", "GET"),
    ("/api/v1/review/items/", "GET"),
    ("/api/v1/review/items/{item_id}/", "GET"),
    ("/api/v1/review/items/{item_id}/claim/", "POST"),
    ("/api/v1/review/items/{item_id}/claim/", "DELETE"),
    ("/api/v1/review/items/{item_id}/verdicts/", "POST"),
    ("/api/v1/review/items/{item_id}/reopen/", "POST"),
    ("/api/v1/review/claims/", "POST"),
    ("/api/v1/review/verdicts/{verdict_id}/", "GET"),
    ("/api/v1/review/verdicts/{verdict_id}/undo/", "POST"),
    ("/api/v1/review/agreement/", "GET"),
    ("/api/v1/limitations/", "GET"),
    ("/api/v1/limitations/", "POST"),
    ("/api/v1/limitations/{limitation_id}/", "GET"),
    ("/api/v1/limitations/{limitation_id}/", "PATCH"),
    ("/api/v1/limitations/{limitation_id}/me-too/", "POST"),
    ("/api/v1/limitations/{limitation_id}/replays/", "GET"),
    ("/api/v1/limitations/{limitation_id}/replays/", "POST"),
    ("/api/v1/replays/{replay_id}/", "GET"),
    ("/api/v1/replays/{replay_id}/again/", "POST"),
    ("/api/v1/replays/runs/{run_id}/", "PATCH"),
]


@cache
def served_document() -> str:
    """Made once: it is the same for every test."""
    written = io.StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=written)
    return written.getvalue()


@pytest.fixture
def judge_of_all(make_user: Callable[..., User]) -> User:
    """Somebody who may do all of this."""
    return make_user("judge", Role.REVIEWER, Role.MAINTAINER)


@pytest.fixture
def judging_schema(judge_of_all: User, alice: User, reviewer: User, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The part of the served document, with names and ids that exist: random ones would only ever test the 404."""
    document = json.loads(served_document())
    mine = {path for path, _method in JUDGEMENTS}
    document["paths"] = {path: each for path, each in document["paths"].items() if path in mine}
    there = _things(judge_of_all, alice, reviewer)
    for path, operations in document["paths"].items():
        for operation in (operations[method] for method in METHODS if method in operations):
            for parameter in operation.get("parameters", ()):
                names = {f"{path.split('/')[3]}.{parameter['name']}", parameter["name"]} & there.keys()
                if parameter["in"] == "path" and names:
                    parameter["schema"]["enum"] = there[names.pop()]
    bodies = document["components"]["schemas"]
    bodies["GiveSubmission"]["properties"]["generation"]["enum"] = there["generation"]
    bodies["NewLimitation"]["properties"]["card"]["enum"] = ["acme/tiny", "smol/lm2"]
    bodies["NewCampaign"]["properties"]["questionnaire"]["enum"] = ["comparison", "bias-report"]
    for signal in (request_started, request_finished):
        monkeypatch.setattr(signal, "receivers", [])
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    return schema


def _things(judge_of_all: User, alice: User, reviewer: User) -> dict[str, list[Any]]:
    make_card()
    own, report = judge(judge_of_all), judge(alice, thumb="down")
    judged = item_of(judge(alice, thumb="down", comment="Names no source."))
    reviews = [give_verdict(judge_of_all, judged), give_verdict(reviewer, judged)]
    report.move_review(list(ReviewState), ReviewState.ACCEPTED)
    assert report.card is not None
    assert report.variant is not None
    limitation = make_limitation(judge_of_all, report.card, [str(report.pk)], title="A ship")
    replay = Replay.objects.create(limitation=limitation, variant=report.variant, rule="exact", asked_by=judge_of_all)
    run = ReplayRun.objects.create(replay=replay, original=make_generation(judge_of_all))
    draft = Questionnaire.objects.create(slug="tone", title="Tone")
    draft.questions.create(key="ok", kind="yes_no", label="?")
    asked = Questionnaire.objects.get(slug="comparison", is_current=True)
    Campaign.objects.create(slug="spring", title="Spring", questionnaire=asked, is_published=True)
    return {
        "owner_name": ["acme", "none"],
        "cards.slug": ["tiny"],
        "number": [1, 2],
        "campaigns.slug": ["spring", "none"],
        "questionnaires.slug": ["tone", "comparison"],
        "version": [1],
        "key": ["ok", "none"],
        "submission_id": [str(own.pk), str(report.pk)],
        "item_id": [judged.pk, item_of(report).pk],
        "verdict_id": [each.pk for each in reviews],
        "limitation_id": [str(limitation.pk)],
        "replay_id": [str(replay.pk)],
        "run_id": [run.pk],
        "generation": [str(make_generation(judge_of_all).pk), str(report.generation_id)],
    }


@pytest.fixture
def sent(judge_of_all: User, settings: Any) -> dict[str, str]:
    """What every request brings along."""
    settings.API_RATE = settings.FEEDBACK_RATE = settings.GENERATION_RATE = "1000000/minute"
    _token, secret = create_token(judge_of_all, name="attack", scopes=list(Scope), lifetime=None)
    return {"Authorization": f"Bearer {secret}", "Accept-Encoding": "identity"}


@pytest.mark.parametrize("resource", sorted({path.split("/")[3] for path, _method in JUDGEMENTS}))
def test_every_answer_is_documented(judging_schema: Any, sent: dict[str, str], resource: str) -> None:
    for path, method in JUDGEMENTS:
        if path.split("/")[3] == resource:
            attack(judging_schema[path][method], sent)


def attack(operation: Any, sent: dict[str, str]) -> None:
    @given(case=one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def every_answer_is_documented(case: Any) -> None:
        # Left out: what a schema cannot say is refused too, such as a name that is taken.
        case.call_and_validate(headers=sent, excluded_checks=[positive_data_acceptance])

    every_answer_is_documented()
