"""Limits start afresh in every test: people's keys come again with each test's rolled-back database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.accounts import limits
from portal.exports import change_feed


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    limits._limiters.cache_clear()
    yield
    limits._limiters.cache_clear()


@pytest.fixture
def own_transaction_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL nothing is told before the oldest open transaction ends: the test's own, or another test's."""
    monkeypatch.setattr(change_feed, "_OLDEST_OPEN_TRANSACTION", str(2**63 - 1))
