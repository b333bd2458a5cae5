"""What a snapshot holds, says of itself and of the one before, and whose names are in it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from pyarrow import parquet

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.catalog.job_models import JobState
from portal.exports.criteria import Criteria
from portal.exports.models import Salting
from portal.exports.queries import row_of
from portal.exports.services import MAX_WAITING, start_snapshot
from portal.exports.snapshot_records import changes, difference, snapshots_with
from portal.feedback.services import revise_feedback
from portal.feedback.withdrawing import withdraw_feedback
from tests.exports.snapshots import made, said
from tests.feedback.judgements import judge, make_generation

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]


def test_a_snapshot_holds_its_tables_and_the_digest_of_each_file(maintainer: User, alice: User, folder: Path) -> None:
    submission = said(alice)
    snapshot = made(maintainer, note="For the record.")
    assert (snapshot.state, snapshot.number, snapshot.error) == (JobState.SUCCEEDED, 1, "")
    home = folder / "00001"
    assert json.loads((home / "manifest.json").read_text()) == snapshot.manifest
    for path, facts in snapshot.manifest["files"].items():
        data = (home / path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (facts["bytes"], facts["sha256"])
    on_disk = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert on_disk == {*snapshot.manifest["files"], "manifest.json"}
    assert snapshot.manifest["rows"] == {"feedback": 1, "comparisons": 1, "kto": 3}
    [line] = (home / "data" / "feedback.jsonl").read_text().splitlines()
    row = row_of(submission)
    assert row is not None
    assert {**json.loads(line), "contributor": None} == {**row, "contributor": None}
    assert parquet.read_table(home / "data" / "kto.parquet").num_rows == 3
    assert list(folder.parent.glob(".snapshot-*")) == []


def test_the_same_query_gives_the_same_bytes(maintainer: User, alice: User) -> None:
    said(alice)
    first = made(maintainer, salting=Salting.SHARED)
    again = made(maintainer, salting=Salting.SHARED)
    data = [
        {path: facts for path, facts in each.manifest["files"].items() if path.startswith("data/")}
        for each in (first, again)
    ]
    assert data[0] == data[1]
    assert (again.number, again.previous) == (2, first)
    assert again.manifest["changes"] == {"added": 0, "changed": 0, "withdrawn": 0, "left": 0}


def test_pseudonyms_of_a_snapshots_own_link_to_nothing(maintainer: User, alice: User, folder: Path) -> None:
    submission = said(alice)
    own, shared = made(maintainer), made(maintainer, salting=Salting.SHARED)
    names = [
        json.loads((folder / each.folder / "data" / "feedback.jsonl").read_text())["contributor"]
        for each in (own, shared)
    ]
    row = row_of(submission)
    assert row is not None
    assert names[1] == row["contributor"]
    assert names[0] != names[1]
    assert own.salt not in json.dumps(own.manifest)


def test_personal_data_is_replaced_when_asked(maintainer: User, alice: User, folder: Path) -> None:
    said(alice)
    snapshot = made(maintainer, "feedback", redacts=True)
    text = (folder / snapshot.folder / "data" / "feedback.jsonl").read_text()
    assert "alice@example.org" not in text
    assert "[email]" in text
    assert "What is a steelyard?" in text


def test_what_changed_between_two_is_told_record_by_record(maintainer: User, alice: User, bob: User) -> None:
    kept, changed, withdrawn = said(alice), judge(alice), judge(bob)
    first = made(maintainer)
    assert changed.generation is not None
    assert withdrawn.generation is not None
    revise_feedback(Actor(user=alice), changed.generation, {"comment": "Later."})
    withdraw_feedback(Actor(user=bob), withdrawn.generation)
    added = judge(bob)
    second = made(maintainer)
    counted = difference(first, second)
    assert (counted.added, counted.changed, counted.withdrawn, counted.left) == (1, 1, 1, 0)
    told = {(each["change"], each["id"]) for chunk in changes(first, second) for each in chunk}
    assert told == {("added", str(added.pk)), ("changed", str(changed.pk)), ("withdrawn", str(withdrawn.pk))}
    assert snapshots_with([kept.pk, withdrawn.pk]) == {kept.pk: [first, second], withdrawn.pk: [first]}


def test_an_older_snapshot_tells_what_was_withdrawn_since(maintainer: User, alice: User, bob: User) -> None:
    gone, deleted, stays = judge(alice), judge(bob), judge(bob, make_generation(bob, output="Other."))
    snapshot = made(maintainer, "feedback")
    client = Client()
    client.force_login(bob)
    address = reverse("exports:tombstones", args=[snapshot.pk])
    assert client.get(address).getvalue() == b""  # type: ignore[attr-defined]
    assert gone.generation is not None
    withdraw_feedback(Actor(user=alice), gone.generation)
    deleted.generation.conversation.delete()  # type: ignore[union-attr]
    lines = client.get(address).getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert {json.loads(line)["id"] for line in lines} == {str(gone.pk), str(deleted.pk)}
    assert str(stays.pk) not in str(lines)


def test_only_maintainers_ask_and_what_they_ask_must_be_possible(maintainer: User, alice: User) -> None:
    with pytest.raises(PermissionDenied):
        made(alice)
    for tables, criteria, field in (
        ((), Criteria(), "tables"),
        (("feedback", "none"), Criteria(), "tables"),
        (("submissions_wide",), Criteria(), "questionnaire"),
        (("feedback",), Criteria(card="no/card"), "card"),
    ):
        with pytest.raises(ValidationError) as refused:
            start_snapshot(maintainer, title="x", tables=tables, criteria=criteria)
        assert field in refused.value.message_dict
    for _ in range(MAX_WAITING):
        start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    with pytest.raises(ValidationError, match="being made"):
        start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
