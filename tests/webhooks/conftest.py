"""A receiver that may be reached, what moved within a test's own transaction, and fresh limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from portal.exports import change_feed
from portal.webhooks.models import Delivery
from tests.webhooks.receiver import Receiver


@pytest.fixture(autouse=True)
def _fresh_limits(fresh_limits: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    receiver = Receiver()
    settings.WEBHOOK_PRIVATE_HOSTS = [receiver.host]
    settings.WEBHOOK_TIMEOUT_S = 60.0
    yield receiver
    receiver.close()


@pytest.fixture
def own_transaction_is_read(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """On PostgreSQL nothing is told before the oldest open transaction ends, which is the test's own."""
    monkeypatch.setattr(change_feed, "_OLDEST_OPEN_TRANSACTION", str(2**63 - 1))


def waiting() -> list[str]:
    """The types of the messages that wait, as they were made."""
    return [each.type for each in Delivery.objects.filter(state="waiting").order_by("pk")]
