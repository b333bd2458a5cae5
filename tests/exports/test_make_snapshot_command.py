"""`manage.py make_snapshot`: asked for, waited for, and an error where there is none."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command

from portal.accounts.models import User
from portal.catalog import job_run
from portal.exports import services, snapshot_build
from portal.exports.management.commands import make_snapshot
from portal.exports.models import Salting, Snapshot
from portal.exports.tasks import build_snapshot
from tests.feedback.judgements import judge

pytestmark = pytest.mark.django_db
ASKED = ("make_snapshot", "--user", "Maintainer", "--title", "Nightly", "--table", "feedback", "kto")


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[float], None]:
    """Builds what waits whenever the command rests."""
    settings.STEELYARD_HOME = tmp_path
    monkeypatch.setattr(services, "dispatch_soon", lambda _snapshot: None)
    # On a connection of its own, which sees nothing of the test's open transaction.
    monkeypatch.setattr(job_run, "ROUND_S", 3_600)
    monkeypatch.setattr(snapshot_build, "snapshot_storage", lambda: FileSystemStorage(location=tmp_path / "snapshots"))

    def work(_seconds: float) -> None:
        for snapshot in Snapshot.objects.all():
            build_snapshot(snapshot.pk)

    monkeypatch.setattr(make_snapshot.time, "sleep", work)
    return work


@pytest.mark.usefixtures("worker")
def test_it_says_the_number_of_what_the_worker_made(maintainer: User, alice: User) -> None:
    judge(alice)
    judge(alice, thumb="down")
    told = io.StringIO()
    call_command(*ASKED, "--thumb", "up", "--salting", "shared", "--redact", "--note", "x", "--json", stdout=told)
    snapshot = Snapshot.objects.get()
    assert json.loads(told.getvalue()) == {
        "number": 1,
        "state": "succeeded",
        "page": snapshot.get_absolute_url(),
        "rows": {"feedback": 1, "kto": 1},
        "changes": {"added": 1},
    }
    assert (snapshot.requested_by, snapshot.tables, snapshot.criteria) == (
        maintainer, ["feedback", "kto"], {"thumb": "up"},
    )  # fmt: skip
    assert (snapshot.salting, snapshot.redacts, snapshot.note) == (Salting.SHARED, True, "x")
    told = io.StringIO()
    call_command(*ASKED, stdout=told)
    assert told.getvalue() == "Snapshot 2: 10 files, Nightly\n"


def test_it_need_not_be_waited_for(maintainer: User, worker: Callable[[float], None]) -> None:
    told = io.StringIO()
    call_command(*ASKED, "--no-wait", stdout=told)
    assert told.getvalue() == f"A worker will make it: {Snapshot.objects.get().get_absolute_url()}\n"
    worker(0)
    assert Snapshot.objects.get().is_published


def test_one_that_is_not_made_is_an_error(
    maintainer: User, worker: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_seconds: float) -> None:
        Snapshot.objects.update(state="failed", error="The disk is full.", finished_at="2026-01-01T00:00Z")

    def stop(_seconds: float) -> None:
        Snapshot.objects.exclude(state="failed").update(state="cancelled", finished_at="2026-01-01T00:00Z")

    for happens, words in ((fail, "The disk is full"), (stop, "it was stopped")):
        monkeypatch.setattr(make_snapshot.time, "sleep", happens)
        with pytest.raises(CommandError, match=words):
            call_command(*ASKED)


@pytest.mark.usefixtures("worker")
def test_it_does_not_wait_for_ever(maintainer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = 0.0

    def rest(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    monkeypatch.setattr(make_snapshot.time, "sleep", rest)
    monkeypatch.setattr(make_snapshot.time, "monotonic", lambda: waited)
    for more, limit_s in (((), 3_600), (("--timeout", "90"), 90)):
        waited = 0.0
        with pytest.raises(CommandError, match=f"No worker took the snapshot within {limit_s} s: .* It stays queued"):
            call_command(*ASKED, *more)
        assert waited == limit_s
        assert Snapshot.objects.get().state == "queued"
        Snapshot.objects.all().delete()

    def take(seconds: float) -> None:
        Snapshot.objects.get().claim("worker", timedelta(days=1))
        rest(seconds)

    monkeypatch.setattr(make_snapshot.time, "sleep", take)
    with pytest.raises(CommandError, match=r"takes longer than 90 s\. The worker goes on with it"):
        call_command(*ASKED, "--timeout", "90")
    assert Snapshot.objects.get().state == "running"


def test_without_a_limit_it_waits_as_long_as_it_takes(
    maintainer: User, worker: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rests = 0

    def rest(seconds: float) -> None:
        nonlocal rests
        rests += 1
        if rests == 5:
            worker(seconds)

    monkeypatch.setattr(make_snapshot.time, "sleep", rest)
    monkeypatch.setattr(make_snapshot.time, "monotonic", lambda: 1_000_000.0 * rests)
    call_command(*ASKED, "--timeout", "0", stdout=io.StringIO())
    assert Snapshot.objects.get().is_published


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--user", "nobody"), "Nobody is called"),
        (("--user", "alice"), "alice: Only maintainers"),
        (("--thumb", "sideways"), "--thumb: "),
        (("--table", "submissions_wide"), "--questionnaire: Name the questionnaire"),
        (("--title", ""), "--title: "),
        (("--timeout", "-1"), "--timeout: "),
        (("--timeout", "soon"), "--timeout: 'soon' is no whole number"),
        (("--timeout", "5", "--no-wait"), "not allowed with"),
        (("--title", "x" * 121), "--title: "),
        (("--table", "nothing"), "invalid choice: 'nothing'"),
    ],
)
def test_what_is_wrong_is_named_by_its_option(maintainer: User, alice: User, more: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command(*ASKED, *more)
    assert not Snapshot.objects.exists()
