"""Generated requests over what the document says of judging, and chains of them over all: no 5xx, no other answer."""

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
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test
from hypothesis.strategies import one_of
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from portal.accounts.actors import Actor
from portal.accounts.models import Scope, User
from portal.accounts.roles import Role
from portal.accounts.services import create_token
from portal.catalog.job_models import JobState
from portal.exports import services
from portal.exports.models import Snapshot
from portal.feedback.campaign_services import send_answers
from portal.feedback.models import Answer, Campaign, Consent, Questionnaire, ReviewState
from portal.feedback.terms import Terms
from portal.reviews.models import Replay, ReplayRun, Review, ReviewItem
from portal.reviews.services.limitations import make_limitation
from portal.webhooks.services import make_endpoint, ping
from tests.catalog.shelf import make_card
from tests.feedback.judgements import judge, make_generation
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.generated

EXAMPLES = 8
CHAINS = 12
STEPS = 4
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
    ("/api/v1/campaigns/{slug}/quotes/", "GET"),
    ("/api/v1/campaigns/{slug}/quotes/", "POST"),
    ("/api/v1/campaigns/{slug}/quotes/{answer}/", "DELETE"),
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
    ("/api/v1/me/questions/", "GET"),
    ("/api/v1/me/questions/{inquiry_id}/answer/", "POST"),
    ("/api/v1/review/items/", "GET"),
    ("/api/v1/review/items/{item_id}/", "GET"),
    ("/api/v1/review/items/{item_id}/claim/", "POST"),
    ("/api/v1/review/items/{item_id}/claim/", "DELETE"),
    ("/api/v1/review/items/{item_id}/verdicts/", "POST"),
    ("/api/v1/review/items/{item_id}/reopen/", "POST"),
    ("/api/v1/review/items/{item_id}/gold/", "POST"),
    ("/api/v1/review/gold/", "GET"),
    ("/api/v1/review/bulk/verdicts/", "POST"),
    ("/api/v1/review/bulk/quarantine/", "POST"),
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
    ("/api/v1/limitations/{limitation_id}/reports/", "GET"),
    ("/api/v1/replays/{replay_id}/", "GET"),
    ("/api/v1/replays/{replay_id}/again/", "POST"),
    ("/api/v1/replays/runs/{run_id}/", "PATCH"),
    ("/api/v1/snapshots/", "POST"),
    ("/api/v1/snapshots/builds/", "GET"),
    ("/api/v1/snapshots/builds/{build_id}/", "GET"),
    ("/api/v1/snapshots/builds/{build_id}/cancel/", "POST"),
    ("/api/v1/snapshots/builds/{build_id}/again/", "POST"),
    ("/api/v1/webhooks/", "GET"),
    ("/api/v1/webhooks/", "POST"),
    ("/api/v1/webhooks/{endpoint_id}/", "GET"),
    ("/api/v1/webhooks/{endpoint_id}/", "PATCH"),
    ("/api/v1/webhooks/{endpoint_id}/", "DELETE"),
    ("/api/v1/webhooks/{endpoint_id}/secret/", "POST"),
    ("/api/v1/webhooks/{endpoint_id}/ping/", "POST"),
    ("/api/v1/webhooks/{endpoint_id}/deliveries/", "GET"),
    ("/api/v1/webhooks/{endpoint_id}/deliveries/{message_id}/redeliver/", "POST"),
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
    return make_user("judge", Role.REVIEWER, Role.MAINTAINER, Role.OPERATOR)


@pytest.fixture
def judging_schema(judge_of_all: User, alice: User, reviewer: User, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The served document, with names and ids that exist: random ones would only ever test the 404."""
    document = json.loads(served_document())
    there = _things(judge_of_all, alice, reviewer)
    # Nobody makes them here, and the fourth is to be asked for as the first.
    monkeypatch.setattr(services, "MAX_WAITING", 1_000_000)
    for path, operations in document["paths"].items():
        for operation in (operations[method] for method in METHODS if method in operations):
            for parameter in operation.get("parameters", ()):
                names = {f"{path.split('/')[3]}.{parameter['name']}", parameter["name"]} & there.keys()
                if parameter["in"] == "path" and names:
                    parameter["schema"]["enum"] = there[names.pop()]
    bodies = document["components"]["schemas"]
    bodies["GiveSubmission"]["properties"]["generation"]["enum"] = there["generation"]
    for name in ("RunBody", "ContenderBody"):
        bodies[name]["properties"]["variant"]["enum"] = ["smol/lm2:bf16", "acme/none"]
    bodies["NewEndpoint"]["properties"]["url"]["enum"] = ["https://example.org/hooks", "https://127.0.0.1/"]
    bodies["ChooseQuote"]["properties"]["answer"]["enum"] = there["answer"]
    bodies["NewLimitation"]["properties"]["card"]["enum"] = ["acme/tiny", "smol/lm2"]
    bodies["NewCampaign"]["properties"]["questionnaire"]["enum"] = ["comparison", "bias-report"]
    return attackable(document, monkeypatch)


def attackable(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The document as schemathesis takes it, before this process's own application."""
    # The test's own connection has to outlive each request, as Django's test client sees to.
    for signal in (request_started, request_finished):
        monkeypatch.setattr(signal, "receivers", [])
    schema = schemathesis.openapi.from_dict(document)
    # A condition is looked at before the body (RFC 9110, 13.2.1): a wrong body with an outdated If-Match is 412.
    rejection = schema.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "412"]
    schema.app = get_wsgi_application()
    return schema


def _things(judge_of_all: User, alice: User, reviewer: User) -> dict[str, list[Any]]:
    make_card()
    own, report = judge(judge_of_all), judge(alice, thumb="down")
    asked_about = judge(judge_of_all, thumb="down", comment="Wrong.")
    inquiry = give_verdict(reviewer, item_of(asked_about), "question").inquiry
    endpoint, _secret = make_endpoint(judge_of_all, name="w", url="https://example.org/", kinds=["verdict"])
    judged = item_of(judge(alice, thumb="down", comment="Names no source."))
    give_verdict(judge_of_all, judged)
    give_verdict(reviewer, judged)
    report.move_review(list(ReviewState), ReviewState.ACCEPTED)
    assert report.card is not None
    assert report.variant is not None
    limitation = make_limitation(judge_of_all, report.card, [str(report.pk)], title="A ship")
    replay = Replay.objects.create(limitation=limitation, variant=report.variant, rule="exact", asked_by=judge_of_all)
    run = ReplayRun.objects.create(replay=replay, original=make_generation(judge_of_all))
    draft = Questionnaire.objects.create(slug="tone", title="Tone")
    draft.questions.create(key="ok", kind="yes_no", label="?")
    asked = Questionnaire.objects.get(slug="comparison", is_current=True)
    spring = Campaign.objects.create(slug="spring", title="Spring", questionnaire=asked, is_published=True)
    said = asked.questions.filter(kind="text").first()
    send_answers(Actor(user=alice), spring, {said.key: "It names its sources."}, Terms(Consent.QUOTE), None, "en")
    builds = [
        Snapshot.objects.create(title="Autumn", tables=["kto"], criteria={"rating_min": "2"}, state=state)
        for state in (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)
    ]
    # Of what has numbers all there are: the number of another one would be taken for a wrong one.
    return {
        "owner_name": ["acme", "none"],
        "cards.slug": ["tiny"],
        "number": [1, 2],
        "campaigns.slug": ["spring", "none"],
        "questionnaires.slug": ["tone", "comparison"],
        "version": [1],
        "key": ["ok", "none"],
        "submission_id": [str(own.pk), str(report.pk)],
        "item_id": list(ReviewItem.objects.values_list("pk", flat=True)),
        "verdict_id": list(Review.objects.values_list("pk", flat=True)),
        "limitation_id": [str(limitation.pk)],
        "replay_id": [str(replay.pk)],
        "run_id": [run.pk],
        "inquiry_id": [inquiry.pk],
        "build_id": [each.pk for each in builds],
        "endpoint_id": [str(endpoint.pk)],
        "message_id": [ping(endpoint).message_id, "msg_none"],
        "answer": [Answer.objects.get(submission__campaign=spring).pk, 1],
        "generation": [str(make_generation(judge_of_all).pk), str(report.generation_id)],
    }


@pytest.fixture
def sent(judge_of_all: User, settings: Any) -> dict[str, str]:
    """What every request brings along."""
    for rate in ("API_RATE", "FEEDBACK_RATE", "GENERATION_RATE", "BATTLE_RATE", "VOTE_RATE"):
        setattr(settings, rate, "1000000/minute")
    settings.MAX_CONCURRENT_GENERATIONS = 1_000_000
    _token, secret = create_token(judge_of_all, name="attack", scopes=list(Scope), lifetime=None)
    return {"Authorization": f"Bearer {secret}", "Accept-Encoding": "identity"}


@pytest.mark.parametrize("resource", sorted({path.split("/")[3] for path, _method in JUDGEMENTS}))
def test_every_answer_is_documented(judging_schema: Any, sent: dict[str, str], resource: str) -> None:
    for path, method in JUDGEMENTS:
        if path.split("/")[3] == resource:
            attack(judging_schema[path][method], sent)


def test_whatever_follows_from_an_answer_is_documented_too(judging_schema: Any, sent: dict[str, str]) -> None:
    @judging_schema.auth()
    class _Token:
        def get(self, case: Any, context: Any) -> str:
            return sent["Authorization"]

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = data

    class Chain(judging_schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            # What one chain leaves behind must not decide which steps another one finds.
            self._database = transaction.atomic()
            self._database.__enter__()

        def teardown(self) -> None:
            transaction.set_rollback(True)
            self._database.__exit__(None, None, None)
            super().teardown()

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            # A token that was made up goes as it is, and is to be refused.
            token = (case.headers or {}).get("Authorization", sent["Authorization"])
            return {"headers": {**sent, "Authorization": token}}

        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            case.validate_response(response, excluded_checks=[positive_data_acceptance], transport_kwargs=more)

    run_state_machine_as_test(
        Chain,
        settings=settings(
            max_examples=CHAINS,
            stateful_step_count=STEPS,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


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
