"""Between a worker's tasks a connection to SQLite stays open, and one of PostgreSQL's goes back to its pool."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.fixups.django import DjangoFixup
from django.db import connection

from portal.celery import app

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def task(*, is_eager: bool = False) -> Any:
    return SimpleNamespace(request=SimpleNamespace(is_eager=is_eager))


@pytest.fixture
def fixup() -> Any:
    found: list[DjangoFixup] = app._fixups
    assert len(found) == 1
    return found[0].worker_fixup


def test_it_is_kept_or_given_back_by_djangos_own_rules(fixup: Any) -> None:
    connection.ensure_connection()
    before = connection.connection
    fixup.on_task_prerun(task())
    fixup.on_task_postrun(task())
    assert connection.connection is (before if connection.vendor == "sqlite" else None)


def test_one_that_broke_is_not_kept(fixup: Any) -> None:
    connection.ensure_connection()
    before = connection.connection
    connection.errors_occurred = True
    connection.is_usable = lambda: False  # type: ignore[method-assign]
    try:
        fixup.on_task_postrun(task())
    finally:
        del connection.is_usable
    assert connection.connection is None
    connection.ensure_connection()
    assert connection.connection is not before
