"""What comes again and again in a worker goes on after an error, and says one that is the database's in one line."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from celery import signals
from django.db import OperationalError

from portal.accounts import worker_rounds
from portal.accounts.worker_rounds import repeat_in_workers
from tests.services.installation import eventually


@pytest.mark.parametrize(("error", "has_traceback"), [(OperationalError("away"), False), (ValueError("a bug"), True)])
def test_a_round_that_fails_is_said_and_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, has_traceback: bool
) -> None:
    began: list[float] = []
    signals_of_ours = SimpleNamespace(
        worker_ready=type(signals.worker_ready)(), worker_shutting_down=type(signals.worker_ready)()
    )
    monkeypatch.setattr(worker_rounds, "signals", signals_of_ours)
    monkeypatch.setattr(worker_rounds, "connection", SimpleNamespace(close=lambda: None))

    def fail() -> None:
        began.append(time.monotonic())
        raise error

    repeat_in_workers("rounds", 0.01, fail)
    signals_of_ours.worker_ready.send(sender=None)
    eventually(lambda: len(began) > 2, 30, "a third round")
    signals_of_ours.worker_shutting_down.send(sender=None)
    # Another test's thread may still say something.
    said = [record for record in caplog.records if record.name == worker_rounds.logger.name]
    assert {bool(record.exc_info) for record in said} == {has_traceback}
    assert all("A worker's rounds" in record.getMessage() for record in said)
