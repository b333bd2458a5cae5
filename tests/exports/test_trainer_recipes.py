"""The recipes of docs/exports.md as they stand, and the sets before the libraries that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import transaction

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.exports import services
from portal.exports.criteria import Criteria
from portal.exports.models import Snapshot
from portal.exports.services import start_snapshot
from portal.exports.tables import TABLES
from portal.exports.tasks import build_snapshot
from tests.feedback.judgements import judge, make_generation
from tests.services.recipes import run_recipes

pytestmark = pytest.mark.usefixtures("folder")


def fill(alice: User, maintainer: User) -> Snapshot:
    judge(alice)
    judge(alice, make_generation(alice, output="A ship."), thumb="down", correction="A balance.")
    snapshot = start_snapshot(
        maintainer, title="Autumn | 2026", tables=["feedback", "submissions", "kto", "dpo"], criteria=Criteria()
    )
    build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


@pytest.mark.usefixtures("own_transaction_is_read")
@pytest.mark.django_db(transaction=True)
def test_every_recipe_runs(
    live_server: Any, alice: User, maintainer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(alice, maintainer)
    _token, secret = create_token(alice, name="recipes", scopes=[Scope.READ], lifetime=None)
    _token, keeper = create_token(maintainer, name="keeper", scopes=[Scope.ADMIN], lifetime=None)

    def build_at_once(snapshot: Snapshot) -> None:
        transaction.on_commit(lambda: build_snapshot(snapshot.pk))

    monkeypatch.setattr(services, "dispatch_soon", build_at_once)
    environment = {"PORTAL": live_server.url, "TOKEN": secret, "KEEPER": keeper}
    printed = run_recipes("exports.md", tmp_path, **environment, HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert printed[-1].splitlines()[-1] == "3 True"
    assert "2 rows to keep\n" in printed
    assert "1 pairs, 1 of 2 answers are the better one\n" in printed
    assert any(text.endswith("snapshot 2 at /api/v1/snapshots/2/\n") for text in printed)
    assert any(text.endswith("2 by pandas, 2 by polars\n") for text in printed)


@pytest.mark.django_db
def test_trl_takes_each_set_for_what_it_is_meant_to_be(alice: User, maintainer: User) -> None:
    from trl.data_utils import is_conversational, maybe_unpair_preference_dataset

    fill(alice, maintainer)
    rows = {
        name: [row for chunk in TABLES[name].plan(Criteria()).chunks for row in chunk]
        for name in ("sft", "dpo", "kto", "reward")
    }
    for name, given in rows.items():
        assert given, name
        assert all(is_conversational(row) for row in given), name
    from datasets import Dataset

    pairs = Dataset.from_list([{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows["dpo"]])
    unpaired = maybe_unpair_preference_dataset(pairs)
    assert set(unpaired.column_names) == {"prompt", "completion", "label"}
    assert set(unpaired.column_names) <= set(rows["kto"][0])


@pytest.mark.django_db
def test_croissant_validates_and_reads_the_rows(alice: User, maintainer: User, folder: Path) -> None:
    import mlcroissant

    snapshot = fill(alice, maintainer)
    with mock.patch("absl.logging.warning") as warned:
        dataset = mlcroissant.Dataset(jsonld=str(folder / snapshot.folder / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings, warned.mock_calls) == (set(), set(), [])
    told = next(iter(dataset.records("kto")))
    message = {"kto/prompt/role": b"user", "kto/prompt/content": b"What is a steelyard?"}
    assert (told["kto/prompt"], told["kto/label"]) == ([message], True)
    assert {each.id for each in dataset.metadata.record_sets} == set(snapshot.tables)
