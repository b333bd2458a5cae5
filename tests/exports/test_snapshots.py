"""A snapshot from the asking to the reading: built by the task, described truly, kept, compared, resumed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pyarrow import parquet

from portal.accounts.actors import Actor
from portal.accounts.models import Scope, User
from portal.accounts.services import create_token
from portal.catalog import job_run
from portal.catalog.job_dispatch import sweep_jobs
from portal.catalog.job_models import Job, JobState
from portal.catalog.job_run import JobStopped
from portal.exports import downloads, queries, services, snapshot_build, snapshot_files
from portal.exports.criteria import Criteria
from portal.exports.models import NumberTaking, Salting, Snapshot, SnapshotDownload, Stage
from portal.exports.queries import row_of
from portal.exports.services import MAX_WAITING, repeat_snapshot, start_snapshot
from portal.exports.snapshot_records import changes, difference, snapshots_with
from portal.exports.tasks import build_snapshot
from portal.feedback.models import Submission
from portal.feedback.services import revise_feedback
from portal.feedback.withdrawing import withdraw_feedback
from tests.arena.contests import compare, make_contest, make_vote
from tests.feedback.judgements import judge, make_generation, make_variant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Path]:
    settings.STEELYARD_HOME = tmp_path
    # The tests do what the worker would be woken for.
    monkeypatch.setattr(services, "dispatch_soon", lambda _snapshot: None)
    # The lease is renewed on a connection of its own, which sees nothing of the test's open transaction.
    monkeypatch.setattr(job_run, "ROUND_S", 3_600)
    storage = FileSystemStorage(location=tmp_path / "snapshots")
    for module in (snapshot_build, snapshot_files):
        monkeypatch.setattr(module, "snapshot_storage", lambda: storage)
    return tmp_path / "snapshots"


def made(maintainer: User, *tables: str, **columns: Any) -> Snapshot:
    columns = {"title": "Autumn", "criteria": Criteria()} | columns
    snapshot = start_snapshot(maintainer, tables=tables or ("feedback", "kto", "comparisons"), **columns)
    build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


def said(alice: User) -> Submission:
    submission = judge(alice, comment="Call me: alice@example.org")
    make_vote(compare(make_contest(alice, [make_variant(), make_variant(slug="int8")])))
    return submission


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


def test_a_second_delivery_of_the_task_builds_nothing_again(maintainer: User, alice: User, folder: Path) -> None:
    said(alice)
    snapshot = made(maintainer)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    build_snapshot(snapshot.pk)
    build_snapshot(999_999)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_attempt_begun_anew_overwrites_what_the_lost_one_left(maintainer: User, alice: User, folder: Path) -> None:
    said(alice)
    snapshot = start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    left = folder.parent / f".snapshot-{snapshot.pk}-0-x"
    left.mkdir()
    (folder / "00001" / "data").mkdir(parents=True)
    (folder / "00001" / "data" / "feedback.jsonl").write_text("half a li")
    build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    assert (snapshot.state, snapshot.number) == (JobState.SUCCEEDED, 1)
    assert json.loads((folder / "00001" / "data" / "feedback.jsonl").read_text())
    assert not left.exists()


@pytest.mark.parametrize("lost_at", [Stage.COMPARING, Stage.STORING])
def test_one_that_lost_its_lease_leaves_alone_the_snapshot_that_took_its_number(
    maintainer: User, alice: User, folder: Path, settings: Any, lost_at: str
) -> None:
    said(alice)
    slow = start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    assert slow.claim("worker", timedelta(seconds=30))
    published: list[Snapshot] = []

    def report(stage: str, done: int, total: int) -> None:
        if stage == lost_at and not published:
            Snapshot.objects.filter(pk=slow.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
            sweep_jobs()
            # A worker on another machine, which sees nothing of what this one writes.
            settings.STEELYARD_HOME = folder.parent / "another"
            published.append(made(maintainer, "kto"))

    with pytest.raises(JobStopped):
        snapshot_build.build(slow, report)
    [other] = published
    assert (other.state, other.number) == (JobState.SUCCEEDED, 1)
    on_disk = {str(path.relative_to(folder / "00001")) for path in (folder / "00001").rglob("*") if path.is_file()}
    assert on_disk == {*other.manifest["files"], "manifest.json"}
    slow.refresh_from_db()
    assert (slow.state, slow.number) == (JobState.QUEUED, None)


def test_stages_are_codes_and_the_page_has_them_in_words(
    maintainer: User, alice: User, client: Client, folder: Path
) -> None:
    said(alice)
    client.force_login(maintainer)
    snapshot = start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    assert snapshot.claim("worker", timedelta(seconds=30))
    stages: dict[str, str] = {}

    def report(stage: str, done: int, total: int) -> None:
        Snapshot.objects.filter(pk=snapshot.pk).update(stage=stage)
        shown = Snapshot.objects.get(pk=snapshot.pk)
        stages[shown.stage] = shown.stage_label
        assert shown.stage_label in unescape(client.get(snapshot.get_absolute_url()).content.decode())

    snapshot_build.build(snapshot, report)
    assert stages == {
        "writing:feedback": "Writing the table feedback",
        "comparing": "Comparing with the snapshot before",
        "storing": "Storing",
    }
    assert Snapshot(stage="of a later version").stage_label == "of a later version"


def test_what_is_left_is_removed_and_not_what_a_build_that_begins_meanwhile_writes(
    maintainer: User, folder: Path, settings: Any
) -> None:
    begun_meanwhile: list[Path] = []

    class Home(type(folder)):  # type: ignore[misc]  # the class of this system's paths
        """Another worker begins just before it is looked through."""

        def glob(self, pattern: str, **options: Any) -> Iterator[Path]:
            snapshot = start_snapshot(maintainer, title="y", tables=["feedback"], criteria=Criteria())
            assert snapshot.claim("another", timedelta(seconds=30))
            begun_meanwhile.append(folder.parent / f".snapshot-{snapshot.pk}-{snapshot.attempt}-x")
            begun_meanwhile[0].mkdir()
            yield from super().glob(pattern, **options)

    left = folder.parent / ".snapshot-999999-1-x"
    left.mkdir()
    settings.STEELYARD_HOME = Home(folder.parent)
    assert made(maintainer, "feedback").is_published
    assert begun_meanwhile[0].exists()
    assert not left.exists()


def test_a_home_that_a_snapshot_makes_is_its_owners_alone(maintainer: User, tmp_path: Path, settings: Any) -> None:
    settings.STEELYARD_HOME = tmp_path / "home"
    assert made(maintainer, "feedback").is_published
    assert settings.STEELYARD_HOME.stat().st_mode & 0o777 == 0o700


def begun(maintainer: User) -> Snapshot:
    """One that a worker builds, its number taken."""
    snapshot = start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    assert snapshot.claim("worker", timedelta(seconds=-1))
    assert snapshot.take_number() is NumberTaking.TAKEN
    return snapshot


def test_one_whose_worker_is_lost_for_good_leaves_no_gap_in_the_numbers(maintainer: User) -> None:
    assert made(maintainer, "feedback").number == 1
    lost = begun(maintainer)
    for expected in (JobState.QUEUED, JobState.QUEUED, JobState.FAILED):
        lost.refresh_from_db()
        if lost.state == JobState.QUEUED:
            assert lost.number is None
            assert lost.claim("another", timedelta(seconds=-1))
            assert lost.take_number() is NumberTaking.TAKEN
        assert lost.number == 2
        sweep_jobs()
        lost.refresh_from_db()
        assert (lost.state, lost.number) == (expected, None)
    assert made(maintainer, "feedback").number == 2


@pytest.mark.parametrize("end", [Job.stop, Job.release, Job.request_cancel])
def test_whatever_ends_without_publishing_gives_its_number_back(maintainer: User, end: Callable[[Job], bool]) -> None:
    held = begun(maintainer)
    assert end(held)
    if end is Job.request_cancel:
        assert held.stop()
    held.refresh_from_db()
    assert held.number is None


def test_a_number_is_held_by_one_at_a_time_so_that_none_is_published_behind_one_that_fails(maintainer: User) -> None:
    first = begun(maintainer)
    second = start_snapshot(maintainer, title="y", tables=["feedback"], criteria=Criteria())
    assert second.claim("worker", timedelta(seconds=30))
    assert second.take_number() is NumberTaking.OTHERS
    assert first.fail("The disk is full.")
    assert second.take_number() is NumberTaking.TAKEN
    assert second.number == 1
    Snapshot.objects.filter(pk=second.pk).update(state=JobState.QUEUED, number=None)
    assert second.take_number() is NumberTaking.LOST


def test_one_that_is_cancelled_is_never_published(maintainer: User) -> None:
    snapshot = start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    assert snapshot.request_cancel()
    build_snapshot(snapshot.pk)
    snapshot.refresh_from_db()
    assert (snapshot.state, snapshot.number) == (JobState.CANCELLED, None)


def test_one_that_fails_keeps_no_number_and_is_made_again_when_asked(
    maintainer: User, maintainer_client: Client, alice: User, alice_client: Client, client: Client,
    folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    said(alice)
    full = OSError(errno.ENOSPC, "No space left on device", "kto.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(snapshot_build.File, "chunks", mock.Mock(side_effect=[iter([b"half"]), full]))
        failed = made(maintainer)
    assert (failed.state, failed.number) == (JobState.FAILED, None)
    assert failed.error == "kto.parquet: No space left on device."
    assert len(list((folder / "00001").rglob("*.*"))) == 1
    other = made(maintainer, "feedback")
    # Nothing of the one that failed lies among its files.
    assert other.number == 1
    on_disk = {str(path.relative_to(folder / "00001")) for path in (folder / "00001").rglob("*") if path.is_file()}
    assert on_disk == {*other.manifest["files"], "manifest.json"}
    address = reverse("exports:remake-snapshot", args=[failed.pk])
    assert [each.post(address).status_code for each in (client, alice_client)] == [404, 404]
    assert maintainer_client.get(address).status_code == 405
    assert f'action="{address}"' in maintainer_client.get(failed.get_absolute_url()).content.decode()
    for _ in range(2):
        assert maintainer_client.post(address)["Location"] == failed.get_absolute_url()
        failed.refresh_from_db()
        assert (failed.state, failed.error) == (JobState.QUEUED, "")
    build_snapshot(failed.pk)
    failed.refresh_from_db()
    assert (failed.state, failed.number, failed.as_of > other.as_of) == (JobState.SUCCEEDED, 2, True)
    assert not repeat_snapshot(maintainer, failed)
    with pytest.raises(PermissionDenied):
        repeat_snapshot(alice, failed)


# --- Over HTTP


def test_a_download_resumes_is_tied_to_its_digest_and_logged(
    maintainer: User, alice: User, alice_client: Client
) -> None:
    said(alice)
    snapshot = made(maintainer)
    address = reverse("exports:snapshot-file", args=[snapshot.pk, "data/kto.parquet"])
    whole: Any = alice_client.get(address)
    data = whole.getvalue()
    assert whole["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert int(whole["Content-Length"]) == len(data)
    rest: Any = alice_client.get(address, headers={"Range": "bytes=100-", "If-Range": whole["ETag"]})
    assert (rest.status_code, rest["Content-Range"]) == (206, f"bytes 100-{len(data) - 1}/{len(data)}")
    assert data[:100] + rest.getvalue() == data
    assert alice_client.get(address, headers={"Range": "bytes=999999999-"}).status_code == 416
    assert alice_client.get(address, headers={"If-None-Match": whole["ETag"]}).status_code == 304
    log = SnapshotDownload.objects.order_by("pk").values_list("path", "user", "first_byte")
    assert list(log) == [("data/kto.parquet", alice.pk, 0), ("data/kto.parquet", alice.pk, 100)]
    about: Any = alice_client.head(address)
    assert (about.status_code, about["Content-Length"], about["ETag"]) == (200, str(len(data)), whole["ETag"])
    assert (about.getvalue(), len(log.all())) == (b"", 2)


def test_the_manifest_is_a_file_as_the_others_are(maintainer: User, alice: User, alice_client: Client) -> None:
    snapshot = made(maintainer, "feedback")
    address = reverse("exports:snapshot-file", args=[snapshot.pk, "manifest.json"])
    whole: Any = alice_client.get(address)
    data = whole.getvalue()
    assert (json.loads(data), whole["Content-Length"]) == (snapshot.manifest, str(len(data)))
    assert whole["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    part: Any = alice_client.get(address, headers={"Range": "bytes=-10"})
    assert (part.status_code, part.getvalue()) == (206, data[-10:])
    assert alice_client.get(address, headers={"If-None-Match": f'"x", W/{whole["ETag"]}'}).status_code == 304
    assert [each.path for each in SnapshotDownload.objects.all()] == ["manifest.json"] * 2


def test_a_file_that_the_storage_does_not_give_is_a_matter_of_the_service(
    maintainer: User, alice: User, folder: Path
) -> None:
    snapshot = made(maintainer, "feedback")
    (folder / snapshot.folder / "README.md").unlink()
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    response = client.get(reverse("exports:snapshot-file", args=[snapshot.pk, "README.md"]))
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "storage" in response.content.decode()
    assert not snapshot.downloads.exists()


def test_nobody_leaves_the_snapshots_folder(maintainer: User, alice_client: Client) -> None:
    snapshot = made(maintainer)
    for path in ("../../secret_key", "data/../../x", "/etc/passwd", "data", "none"):
        address = reverse("exports:snapshot", args=[snapshot.pk]) + f"files/{path}"
        assert alice_client.get(address).status_code == 404


def test_who_sees_what(maintainer: User, maintainer_client: Client, alice_client: Client, client: Client) -> None:
    published = made(maintainer)
    waiting = start_snapshot(maintainer, title="x", tables=["feedback"], criteria=Criteria())
    page, hidden = published.get_absolute_url(), waiting.get_absolute_url()
    assert [each.get(page).status_code for each in (client, alice_client, maintainer_client)] == [200, 200, 200]
    assert [each.get(hidden).status_code for each in (client, alice_client, maintainer_client)] == [404, 404, 200]
    file = reverse("exports:snapshot-file", args=[published.pk, "README.md"])
    assert [each.get(file).status_code for each in (client, alice_client)] == [302, 200]
    hidden_file = reverse("exports:snapshot-file", args=[waiting.pk, "README.md"])
    assert [each.get(hidden_file).status_code for each in (alice_client, maintainer_client)] == [404, 404]
    cancel = reverse("exports:cancel-snapshot", args=[waiting.pk])
    assert [each.post(cancel).status_code for each in (client, alice_client)] == [404, 404]
    assert maintainer_client.get(cancel).status_code == 405
    assert maintainer_client.post(cancel).status_code == 302
    new = reverse("exports:new-snapshot")
    assert [each.get(new).status_code for each in (client, alice_client, maintainer_client)] == [404, 404, 200]


def test_the_form_makes_a_snapshot_or_says_beside_each_field_why_not(
    maintainer: User, maintainer_client: Client
) -> None:
    address = reverse("exports:new-snapshot")
    refused = maintainer_client.post(address, {"title": "", "card": "no/card", "since": "soon", "tables": ["feedback"]})
    assert refused.status_code == 422
    errors = refused.context["form"].errors
    assert {"title", "since"} <= set(errors)
    chosen = {"title": "Autumn", "tables": ["feedback", "kto"], "salting": "own", "review_state": ["accepted"]}
    response = maintainer_client.post(address, chosen)
    snapshot = Snapshot.objects.get()
    assert response["Location"] == snapshot.get_absolute_url()
    assert (snapshot.tables, snapshot.criteria) == (["feedback", "kto"], {"review_state": "accepted"})
    wide = {**chosen, "tables": ["submissions_wide"]}
    without = maintainer_client.post(address, wide)
    assert (without.status_code, list(without.context["form"].errors)) == (422, ["questionnaire"])
    assert maintainer_client.post(address, {**wide, "questionnaire": "answer-quality"}).status_code == 302
    Snapshot.objects.first().delete()  # type: ignore[union-attr]
    again = maintainer_client.post(address, {**chosen, "card": "no/card"})
    assert again.context["form"].errors["card"]
    assert Snapshot.objects.count() == 1


def test_the_page_s_command_takes_every_file_and_checks_it(
    maintainer: User, alice: User, client: Client, live_server: Any, tmp_path: Path
) -> None:
    judge(alice)
    snapshot = made(maintainer)
    page = client.get(snapshot.get_absolute_url(), headers={"Host": urlsplit(live_server.url).netloc}).content.decode()
    found = re.search(r'id="download-all">(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    _token, secret = create_token(alice, name="reader", scopes=[Scope.READ], lifetime=None)
    there = tmp_path / "there"
    there.mkdir()

    def run(token: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "TOKEN": token}
        return subprocess.run(
            ["bash", "-c", unescape(found[1])], cwd=there, env=environment, capture_output=True, text=True, check=False
        )

    refused = run("none")
    assert (refused.returncode, refused.stderr.count("401"), refused.stdout) == (22, 1, "")
    ran = run(secret)
    assert (ran.returncode, ran.stderr) == (0, "")
    folder = there / "snapshot-1"
    taken = {str(path.relative_to(folder)) for path in there.rglob("*") if path.is_file()}
    assert taken == {"manifest.json", *snapshot.files}
    assert "data/feedback.jsonl: OK" in ran.stdout.splitlines()

    # Again it takes what is missing, whole or in part, and nothing else.
    (folder / "LICENSE").unlink()
    os.truncate(folder / "README.md", 100)
    SnapshotDownload.objects.all().delete()
    again = run(secret)
    assert (again.returncode, again.stdout, again.stderr) == (0, ran.stdout, "")
    downloads = set(SnapshotDownload.objects.values_list("path", flat=True))
    assert downloads == {"manifest.json", "SHA256SUMS", "LICENSE", "README.md"}
    # What is whole in length and wrong in content is told.
    (folder / "LICENSE").write_bytes(b"x" * (folder / "LICENSE").stat().st_size)
    wrong = run(secret)
    assert wrong.returncode == 1
    assert "LICENSE: FAILED" in wrong.stdout.splitlines()


def test_two_are_compared_on_a_page(maintainer: User, alice: User, alice_client: Client) -> None:
    judge(alice)
    first = made(maintainer)
    judge(alice)
    second = made(maintainer)
    page = alice_client.get(reverse("exports:compare-snapshots", args=[second.pk]), {"with": str(first.pk)})
    assert page.context["difference"].added == 1
    assert ("feedback", 1, 2) in page.context["rows"]
    assert page.context["differ_in"] == []
    assert alice_client.get(reverse("exports:compare-snapshots", args=[second.pk])).status_code == 404
    other = made(maintainer, "comparisons", criteria=Criteria(language="de"))
    page = alice_client.get(reverse("exports:compare-snapshots", args=[other.pk]), {"with": str(second.pk)})
    assert page.context["difference"].left == 2
    assert "The two differ in what they were made of (tables, filters)" in page.content.decode()
    assert (
        '<th scope="row">feedback</th><td class="number">2</td><td class="number">\N{EN DASH}</td>'
        in page.content.decode()
    )


def test_the_overview_takes_the_same_queries_however_many(maintainer: User, alice_client: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert alice_client.get(reverse("exports:overview")).status_code == 200
        return len(queries)

    made(maintainer, "feedback")
    one = count()
    for _ in range(3):
        made(maintainer, "feedback")
    assert count() == one


def test_a_table_is_taken_from_its_page(alice: User, alice_client: Client, client: Client) -> None:
    judge(alice)
    address = reverse("exports:table", args=["kto"])
    assert client.get(address).status_code == 302
    assert alice_client.get(address).status_code == 200
    response: Any = alice_client.get(address, {"format": "jsonl", "download": "1", "card": ""})
    assert json.loads(response.getvalue())["label"] is True
    refused = alice_client.get(address, {"format": "jsonl", "download": "1", "campaign": "none"})
    assert refused.status_code == 400
    assert "campaign" in refused.content.decode()
    assert alice_client.get(reverse("exports:table", args=["none"])).status_code == 404
    counted = alice_client.get(address, {"count": "1", "thumb": "up", "review_state": "unreviewed,accepted"})
    assert (counted.status_code, counted.context["expected"]) == (200, 1)
    unknown = alice_client.get(address, {"count": "1", "label": "harmful", "agreement_min": "2"})
    assert (unknown.status_code, set(unknown.context["form"].errors)) == (400, {"label", "agreement_min"})
    wide = reverse("exports:table", args=["submissions_wide"])
    assert alice_client.get(wide).status_code == 200
    assert alice_client.get(wide, {"download": "1"}).status_code == 400


def test_a_download_tells_its_own_person_how_far_it_is_and_can_be_stopped(
    alice: User, alice_client: Client, bob_client: Client, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TELL_EVERY_S", 0.0)
    monkeypatch.setattr(queries, "CHUNK_ROWS", 1)
    for _ in range(3):
        judge(alice)
    key = uuid.uuid4()
    state = reverse("exports:download", args=[key])
    address = reverse("exports:table", args=["feedback"])
    assert "rows" not in alice_client.get(state).content.decode()
    with CaptureQueriesContext(connection) as asked:
        assert alice_client.head(address, {"download": "1", "key": str(key)}).status_code == 200
    assert not any("COUNT(" in query["sql"] for query in asked), "nothing is sent of which it would be told"
    assert "rows" not in alice_client.get(state).content.decode()
    response: Any = alice_client.get(address, {"download": "1", "key": str(key)})
    pieces = iter(response.streaming_content)
    read = next(pieces) + next(pieces)
    assert read.count(b"\n") == 2
    assert "1 rows of about 3" in alice_client.get(state).content.decode()
    assert "rows" not in bob_client.get(state).content.decode()
    bob_client.post(state)
    assert client.post(state).status_code == 302
    read += next(pieces)
    assert "Being stopped" in alice_client.post(state).content.decode()
    with pytest.raises(downloads.DownloadStopped):
        next(pieces)
    assert "Stopped after 3 rows" in alice_client.get(state).content.decode()
    whole: Any = alice_client.get(address, {"download": "1", "key": str(key)})
    assert whole.getvalue() == read
    assert "Done: 3 rows" in alice_client.get(state).content.decode()
