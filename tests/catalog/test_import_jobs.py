"""Imports as work of a worker: claimed once, cancelled, lost, released; what is left is whole or nothing."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from portal.accounts.models import User
from portal.catalog import job_dispatch, job_run
from portal.catalog.import_requests import start_import
from portal.catalog.import_source import SourceKind
from portal.catalog.job_dispatch import MAX_LOST, sweep_jobs
from portal.catalog.job_models import Import, JobState
from portal.catalog.job_run import JobFailed, work_on
from portal.catalog.job_tasks import run_import
from portal.catalog.models import ModelCard, Variant
from tests.catalog.shelf import CARD_TEXT, write_weights

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def opened(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the operator has opened for imports, with one model in it; no broker."""
    settings.STEELYARD_HOME = tmp_path / "home"
    settings.IMPORT_FOLDER = str(tmp_path / "opened")
    settings.IMPORT_SOURCES = ["hub", "upstream", "folder", "file", "package"]
    (tmp_path / "home").mkdir()
    folder = write_weights(tmp_path / "opened" / "tiny")
    (folder / "README.md").write_text(CARD_TEXT)
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: True)
    monkeypatch.setattr(job_run, "ROUND_S", 0.02)
    return tmp_path / "opened"


def ask(maintainer: User, source: str = "tiny", kind: SourceKind = SourceKind.FOLDER, **more: Any) -> Import:
    job, _is_new = start_import(maintainer, kind=kind, source=source, **more)
    return job


def test_an_import_runs_and_leads_to_its_variant(maintainer: User) -> None:
    job = ask(maintainer, card="acme/tiny")
    run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, job.created_variant, job.error) == (JobState.SUCCEEDED, True, "")
    assert job.variant is not None
    assert job.variant.model_id == "acme/tiny:f32"
    run_import(job.pk)  # a message that came twice
    assert Variant.objects.count() == 1
    again = ask(maintainer, card="acme/tiny")
    run_import(again.pk)
    again.refresh_from_db()
    assert (again.variant, again.created_variant) == (job.variant, False)


def test_asking_twice_for_one_source_is_one_import(maintainer: User) -> None:
    first, is_new = start_import(maintainer, kind=SourceKind.FOLDER, source="tiny")
    second, is_new_too = start_import(maintainer, kind=SourceKind.FOLDER, source=" tiny")
    assert (first.pk, is_new, is_new_too) == (second.pk, True, False)


def test_what_the_command_refuses_is_told_to_who_asked(maintainer: User, opened: Path, tmp_path: Path) -> None:
    (opened / "tiny" / "model.safetensors").write_bytes(b"broken")
    job = ask(maintainer)
    run_import(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert job.error.startswith("model.safetensors: ")
    assert not ModelCard.objects.exists()
    assert list((tmp_path / "home" / "weights").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (SourceKind.FOLDER, "../home"),
        (SourceKind.FOLDER, "/etc"),
        (SourceKind.FOLDER, "."),
        (SourceKind.FOLDER, "absent"),
        (SourceKind.FOLDER, "out"),
        (SourceKind.FOLDER, "a\x00b"),
        (SourceKind.HUB, "../x"),
        (SourceKind.UPSTREAM, "file:///etc/passwd"),
        (SourceKind.UPSTREAM, "tiny"),
    ],
)
def test_what_lies_elsewhere_is_no_source_of_a_page(
    maintainer: User, opened: Path, kind: SourceKind, source: str
) -> None:
    (opened / "out").symlink_to("/etc")
    with pytest.raises(ValidationError) as caught:
        ask(maintainer, source, kind)
    assert "source" in caught.value.message_dict
    assert "etc/passwd" not in str(caught.value)
    assert not Import.objects.exists()


def test_a_folder_that_became_a_link_out_is_refused_by_the_worker(maintainer: User, opened: Path) -> None:
    job = ask(maintainer)
    (opened / "tiny").rename(opened / "other")
    (opened / "tiny").symlink_to("/etc")
    run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, ModelCard.objects.count()) == (JobState.FAILED, 0)
    assert "no such folder or file" in job.error


def test_a_kind_that_the_operator_turned_off_is_refused_also_by_the_worker(maintainer: User, settings: Any) -> None:
    job = ask(maintainer)
    settings.IMPORT_SOURCES = ["hub"]
    with pytest.raises(ValidationError):
        ask(maintainer)
    run_import(job.pk)
    job.refresh_from_db()
    assert "does not allow this kind of source" in job.error


def test_a_server_inside_the_network_is_not_asked_from_a_page(maintainer: User) -> None:
    job = ask(maintainer, "http://127.0.0.1:9/v1", SourceKind.UPSTREAM)
    run_import(job.pk)
    job.refresh_from_db()
    assert (
        job.error == "The upstream cannot be asked: 127.0.0.1 is inside this network, which may not be asked from here."
    )


# --- The life of a job


def working_until(event: threading.Event, begun: threading.Event) -> Any:
    def do(report: Any) -> dict[str, Any]:
        while not event.wait(0.01):
            report("copying", 1, 2)
            begun.set()
        return {}

    return do


def in_thread(job: Import, do: Any) -> threading.Thread:
    from django.db import connection

    def run() -> None:
        try:
            work_on(job, do)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_waiting_import_is_cancelled_at_once_and_a_running_one_by_its_worker(maintainer: User) -> None:
    waiting = ask(maintainer)
    assert waiting.request_cancel()
    waiting.refresh_from_db()
    assert waiting.state == JobState.CANCELLED
    running, begun = ask(maintainer), threading.Event()
    thread = in_thread(running, working_until(threading.Event(), begun))
    assert begun.wait(60)
    assert Import.objects.get(pk=running.pk).request_cancel()
    thread.join(60)
    running.refresh_from_db()
    assert running.state == JobState.CANCELLED
    assert [stage for _time, stage in running.log] == ["copying"]
    assert not running.request_cancel()


def test_two_workers_never_do_one_job(maintainer: User) -> None:
    job = ask(maintainer)
    rival = Import.objects.get(pk=job.pk)
    assert job.claim("one", timedelta(seconds=30))
    assert not rival.claim("two", timedelta(seconds=30))


def test_a_lost_worker_is_replaced_and_writes_nothing_any_more(maintainer: User) -> None:
    job, begun, over = ask(maintainer), threading.Event(), threading.Event()
    thread = in_thread(job, working_until(over, begun))
    assert begun.wait(60)
    Import.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    while Import.objects.get(pk=job.pk).state == JobState.RUNNING:
        Import.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        sweep_jobs()
    thread.join(60)
    run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, job.lost_leases, job.attempt) == (JobState.SUCCEEDED, 1, 2)


def test_work_that_loses_its_worker_too_often_fails(maintainer: User) -> None:
    job = ask(maintainer)
    for _time in range(MAX_LOST):
        job.refresh_from_db()
        assert job.claim("gone", timedelta(seconds=-1))
        sweep_jobs()
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.FAILED, "The worker was lost 3 times while it worked on this.")


def test_a_worker_that_ends_gives_its_work_back(maintainer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(maintainer)
    ending = threading.Event()
    ending.set()
    monkeypatch.setattr(job_run, "_worker_ends", ending)
    run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, job.lost_leases, Variant.objects.count()) == (JobState.QUEUED, 0, 0)
    monkeypatch.setattr(job_run, "_worker_ends", threading.Event())
    run_import(job.pk)
    assert Variant.objects.count() == 1


def test_an_unforeseen_error_is_logged_and_not_shown(maintainer: User) -> None:
    job = ask(maintainer)
    work_on(job, lambda report: {"nothing": 1 / 0})
    job.refresh_from_db()
    assert job.error == "Something went wrong here. The operator's log says what."


def test_a_failure_is_the_sentence_that_was_raised(maintainer: User) -> None:
    def fail(report: Any) -> dict[str, Any]:
        raise JobFailed("No.")

    job = ask(maintainer)
    work_on(job, fail)
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.FAILED, "No.")


def test_the_sweep_wakes_workers_for_what_waits_and_pauses_longer_each_time(
    maintainer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(maintainer)
    sent: list[int] = []
    monkeypatch.setattr(job_dispatch, "publish", lambda task, pk: sent.append(pk) or True)
    sweep_jobs()
    sweep_jobs()
    assert sent == [job.pk]
    before = timezone.now()
    Import.objects.update(dispatch_after=before)
    sweep_jobs()
    job.refresh_from_db()
    assert sent == [job.pk] * 2
    assert job.dispatch_after > before + timedelta(seconds=15)
