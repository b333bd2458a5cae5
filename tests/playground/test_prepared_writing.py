"""UPDATEs and INSERTs whose SQL is made once: what they leave behind is what Django's own would, on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Value
from django.test.utils import CaptureQueriesContext

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import Generation, RunTally, State, TokenTrace
from portal.prepared_writing import PreparedUpdates, insert
from tests.playground.turns import add_turn, make_conversation

pytestmark = [pytest.mark.django_db, pytest.mark.contract]

CHANGES: dict[str, Any] = {
    "state": State.RUNNING,
    "claimed_by": "it's %s; --",
    "lease_expires_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "timings": {"queue_s": 0.25, "names": ["ä", None]},
    "usage": {},
    "output": "多\n'\"\\%",
    "is_repeatable": True,
    "branch_token": None,
}


@pytest.fixture
def runs(alice: User, variant: Variant) -> list[Generation]:
    return [add_turn(make_conversation(alice), variant, state=State.QUEUED, branch_token=4) for _ in range(2)]


def columns(run: Generation) -> dict[str, Any]:
    fresh = Generation.objects.get(pk=run.pk)
    return {field.attname: getattr(fresh, field.attname) for field in Generation._meta.concrete_fields}


def test_an_update_leaves_what_djangos_own_leaves(runs: list[Generation]) -> None:
    ours, djangos = runs
    update = PreparedUpdates(Generation)
    changes = {**CHANGES, "attempt": F("attempt") + 2}
    before = {ours.pk: columns(ours), djangos.pk: columns(djangos)}
    assert update({"pk": ours.pk, "state": State.QUEUED, "attempt": 0}, changes) == 1
    assert columns(djangos) == before[djangos.pk], "another row's"
    assert Generation.objects.filter(pk=djangos.pk, state=State.QUEUED, attempt=0).update(**changes) == 1
    changed = {
        name: value for name, value in columns(ours).items() if value != before[ours.pk][name] or name in CHANGES
    }
    assert changed == {name: columns(djangos)[name] for name in changed}
    assert {name: changed[name] for name in CHANGES} == CHANGES
    assert changed["attempt"] == 2
    # Its value follows from the others.
    assert columns(ours)["counted_tokens"] == columns(djangos)["counted_tokens"]


@pytest.mark.parametrize("where", [{"state": State.RUNNING}, {"attempt": 1}, {"claimed_by": "another"}])
def test_a_row_that_is_not_where_it_must_be_stays_as_it_is(runs: list[Generation], where: dict[str, Any]) -> None:
    before = columns(runs[0])
    assert PreparedUpdates(Generation)({"pk": runs[0].pk, **where}, CHANGES) == 0
    assert columns(runs[0]) == before


def test_a_condition_that_no_row_meets_and_no_change_at_all_are_refused(runs: list[Generation]) -> None:
    update = PreparedUpdates(Generation)
    with pytest.raises(ValueError, match="where"):
        update({"pk": runs[0].pk, "parent_id": None}, {"attempt": 1})
    with pytest.raises(ValueError, match="changes"):
        update({"pk": runs[0].pk}, {})


def test_expressions_that_are_not_the_same_have_words_of_their_own(runs: list[Generation]) -> None:
    update = PreparedUpdates(Generation)
    for expression, stored in ((Value(1), 1), (Value(0), 0), (F("lost_leases") + 5, 5), (F("lost_leases") + 6, 11)):
        assert update({"pk": runs[0].pk, "variant_id": runs[0].variant_id}, {"lost_leases": expression}) == 1
        assert columns(runs[0])["lost_leases"] == stored


def test_a_column_may_be_looked_at_and_changed_at_once(runs: list[Generation]) -> None:
    update = PreparedUpdates(Generation)
    assert update({"pk": runs[0].pk, "dispatches": 0}, {"dispatches": 3}) == 1
    assert update({"pk": runs[0].pk, "dispatches": 0}, {"dispatches": 5}) == 0
    assert update({"pk": runs[0].pk, "dispatches": 3}, {"dispatches": F("dispatches") + 4}) == 1
    assert update({"pk": runs[0].pk, "dispatches": 7}, {"dispatches": F("dispatches") + 1}) == 1
    assert columns(runs[0])["dispatches"] == 8


def test_every_update_is_one_query_and_its_words_are_kept(runs: list[Generation]) -> None:
    update = PreparedUpdates(Generation)
    made = []
    for run in runs:
        with CaptureQueriesContext(connection) as asked:
            assert update({"pk": run.pk, "attempt": 0}, {"output": str(run.pk)}) == 1
        made.append(len([each for each in asked if "UPDATE" in each["sql"]]))
    assert made == [1, 1]
    assert len(update._made) == 1
    assert [columns(run)["output"] for run in runs] == [str(run.pk) for run in runs]


def test_a_rule_of_the_database_holds(runs: list[Generation]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        PreparedUpdates(Generation)({"pk": runs[0].pk}, {"state": State.RUNNING})
    assert columns(runs[0])["state"] == State.QUEUED


def test_a_row_is_stored_as_djangos_own_is(runs: list[Generation], variant: Variant) -> None:
    tokens = [{"id": 3, "text": "ä'%s", "logprob": -0.5, "top": []}, {"id": -1, "text": "", "logprob": None}]
    insert(TokenTrace(generation=runs[0], tokens=tokens))
    TokenTrace.objects.create(generation=runs[1], tokens=tokens)
    assert [TokenTrace.objects.get(pk=run.pk).tokens for run in runs] == [tokens, tokens]
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(TokenTrace(generation=runs[0], tokens=[]))
    # A key of the database's making.
    tally = RunTally.of_one(variant.pk, State.SUCCEEDED, {"timings": {"queue_s": 0.3}, "usage": {"prompt_tokens": 7}})
    for _ in range(2):
        insert(tally)
    stored = list(RunTally.objects.filter(prompt_tokens=7))
    assert len({each.pk for each in stored}) == 2
    assert {(each.variant_id, each.state, each.queue_ms, each.is_folded) for each in stored} == {
        (variant.pk, "succeeded", 300, False)
    }


def test_moments_are_the_same_moment_whatever_their_zone(runs: list[Generation]) -> None:
    moment = datetime.fromisoformat("2026-03-29T02:30:00+05:30")
    assert PreparedUpdates(Generation)({"pk": runs[0].pk}, {"queued_at": moment}) == 1
    assert columns(runs[0])["queued_at"] - moment == timedelta(0)
