"""Generated requests over the whole OpenAPI document: no 5xx, no answer that the document does not know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.arena.models import Kind as ArenaKind
from portal.catalog.job_models import JobState
from portal.exports import snapshot_files
from portal.exports.models import Snapshot
from portal.playground import following
from portal.playground.models import TokenTrace
from tests.api.test_judgements_schemathesis import JUDGEMENTS, METHODS, attackable, served_document
from tests.arena.contests import make_contest
from tests.feedback.judgements import judge, make_generation, make_variant
from tests.playground.turns import make_conversation

pytestmark = pytest.mark.generated

EXAMPLES = 10
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
    ("/api/v1/snapshots/", "GET"),
    ("/api/v1/snapshots/{number}/", "GET"),
    ("/api/v1/snapshots/{number}/files/{path}", "GET"),
    ("/api/v1/snapshots/{number}/tombstones/", "GET"),
    ("/api/v1/conversations/", "GET"),
    ("/api/v1/conversations/", "POST"),
    ("/api/v1/conversations/{conversation_id}/", "GET"),
    ("/api/v1/conversations/{conversation_id}/", "PATCH"),
    ("/api/v1/conversations/{conversation_id}/", "DELETE"),
    ("/api/v1/conversations/{conversation_id}/restore/", "POST"),
    ("/api/v1/generations/", "GET"),
    ("/api/v1/generations/", "POST"),
    ("/api/v1/generations/{generation_id}/", "GET"),
    ("/api/v1/generations/{generation_id}/events/", "GET"),
    ("/api/v1/generations/{generation_id}/trace/", "GET"),
    ("/api/v1/generations/{generation_id}/cancel/", "POST"),
    ("/api/v1/generations/{generation_id}/again/", "POST"),
    ("/api/v1/generations/{generation_id}/rerun/", "POST"),
    ("/api/v1/generations/{generation_id}/branch/", "POST"),
    ("/api/v1/comparisons/", "GET"),
    ("/api/v1/comparisons/", "POST"),
    ("/api/v1/comparisons/{contest_id}/", "GET"),
    ("/api/v1/comparisons/{contest_id}/turns/", "POST"),
    ("/api/v1/comparisons/{contest_id}/stop/", "POST"),
    ("/api/v1/comparisons/{contest_id}/vote/", "POST"),
    ("/api/v1/battles/", "GET"),
    ("/api/v1/battles/", "POST"),
    ("/api/v1/battles/{contest_id}/", "GET"),
    ("/api/v1/battles/{contest_id}/events/", "GET"),
    ("/api/v1/battles/{contest_id}/turns/", "POST"),
    ("/api/v1/battles/{contest_id}/stop/", "POST"),
    ("/api/v1/battles/{contest_id}/vote/", "POST"),
]


@pytest.fixture
def api_schema(db: None, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The served document, with ids that exist: random ones would only ever test the 404."""
    document = json.loads(served_document())
    there = things(alice, bob, monkeypatch)
    bodies = document["components"]["schemas"]
    bodies["Submission"]["properties"]["generation"]["enum"] = there["generation_id"]
    for name in ("RunBody", "ContenderBody"):
        bodies[name]["properties"]["variant"]["enum"] = ["smol/lm2:bf16", "smol/lm2", "no/such"]
    bodies["BattleBody"]["properties"]["pool"]["enum"] = ["models", "none"]
    bodies["RunBody"]["properties"]["conversation"]["enum"] = [*there["conversation_id"], None]
    for operations in document["paths"].values():
        for operation in (operations[method] for method in METHODS if method in operations):
            for parameter in operation.get("parameters", ()):
                if (parameter["in"], parameter["name"]) in {("path", name) for name in there}:
                    parameter["schema"]["enum"] = there[parameter["name"]]
    # How long a stream waits for news before it asks the row.
    monkeypatch.setattr(following, "ROW_INTERVAL_S", 0.001)
    monkeypatch.setattr(following, "LAST_LOOK_S", 0.001)
    return attackable(document, monkeypatch)


def things(alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What is there, by the name of the parameter that names it: Alice's, and last one of Bob's."""
    runs = [make_generation(alice), make_generation(alice), make_generation(bob)]
    alternatives = [{"id": 1, "text": "A", "logprob": -0.5}, {"id": 2, "text": "The", "logprob": -1.5}]
    TokenTrace.objects.create(
        generation=runs[0], tokens=[{**alternatives[0], "channel": "answer", "top": alternatives}]
    )
    variants = [runs[0].variant, make_variant("other/tiny")]
    contests = [
        make_contest(alice, variants, ArenaKind.SIDE_BY_SIDE),
        make_contest(alice, variants),
        make_contest(bob, variants),
    ]
    gone = make_conversation(alice, deleted_at=timezone.now())
    publish_snapshot(monkeypatch)
    return {
        "submission_id": [str(judge(owner).pk) for owner in (alice, alice, bob)],
        "generation_id": [str(run.pk) for run in runs],
        "conversation_id": [str(each) for each in (runs[0].conversation_id, gone.pk, runs[2].conversation_id)],
        "contest_id": [str(contest.pk) for contest in contests],
        "number": [1, 2],
        "path": ["data/kto.parquet", "README.md", "manifest.json", "none"],
    }


def publish_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with two small files, kept in memory."""
    storage = InMemoryStorage()
    monkeypatch.setattr(snapshot_files, "snapshot_storage", lambda: storage)
    files = {"data/kto.parquet": b"PAR1", "README.md": b"# Autumn"}
    facts = {path: {"bytes": len(data), "sha256": "9f"} for path, data in files.items()}
    manifest = {"files": facts, "rows": {"kto": 0}, "licences": ["CC-BY-4.0"], "previous": None}
    now = timezone.now()
    snapshot = Snapshot.objects.create(
        number=1, title="Autumn", tables=["kto"], manifest=manifest, state=JobState.SUCCEEDED, finished_at=now
    )
    for path, data in files.items():
        storage.save(snapshot.stored_name(path), ContentFile(data))


@pytest.fixture
def authorization(alice: User, settings: Any) -> dict[str, str]:
    settings.API_RATE = settings.FEEDBACK_RATE = settings.GENERATION_RATE = settings.BATTLE_RATE = "1000000/minute"
    settings.VOTE_RATE = "1000000/minute"
    settings.MAX_CONCURRENT_GENERATIONS = 1_000_000
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


def test_no_operation_is_left_out() -> None:
    paths = json.loads(served_document())["paths"]
    operations = {(path, method.upper()) for path, each in paths.items() for method in each if method in METHODS}
    assert operations == {*ATTACKED, *JUDGEMENTS}
