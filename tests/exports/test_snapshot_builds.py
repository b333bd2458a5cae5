"""Building a snapshot, once and whole: whatever becomes of its worker, its lease, its number and its disk."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import User
from portal.catalog.job_dispatch import sweep_jobs
from portal.catalog.job_models import Job, JobState
from portal.catalog.job_run import JobStopped
from portal.exports import snapshot_build
from portal.exports.criteria import Criteria
from portal.exports.models import NumberTaking, Snapshot, Stage
from portal.exports.services import repeat_snapshot, start_snapshot
from portal.exports.tasks import build_snapshot
from tests.exports.snapshots import made, said

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]


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
