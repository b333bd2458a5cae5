"""Snapshots' folder, and limits that start afresh in every test: people's keys come again when it is rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from portal.catalog import job_run
from portal.exports import change_feed, services, snapshot_build, snapshot_files


@pytest.fixture(autouse=True)
def _fresh_limits(fresh_limits: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def own_transaction_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL nothing is told before the oldest open transaction ends: the test's own, or another test's."""
    monkeypatch.setattr(change_feed, "_OLDEST_OPEN_TRANSACTION", str(2**63 - 1))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Path:
    """Where the snapshots of this test are stored."""
    settings.STEELYARD_HOME = tmp_path
    # The tests do what the worker would be woken for.
    monkeypatch.setattr(services, "dispatch_soon", lambda _snapshot: None)
    # The lease is renewed on a connection of its own, which sees nothing of the test's open transaction.
    monkeypatch.setattr(job_run, "ROUND_S", 3_600)
    storage = FileSystemStorage(location=tmp_path / "snapshots")
    for module in (snapshot_build, snapshot_files):
        monkeypatch.setattr(module, "snapshot_storage", lambda: storage)
    return tmp_path / "snapshots"
