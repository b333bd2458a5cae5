"""The campaign that is there, and limits that start afresh: people's keys come again with each rolled-back database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.accounts import limits
from portal.feedback.models import Campaign


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    limits._limiters.cache_clear()
    yield
    limits._limiters.cache_clear()


@pytest.fixture
def campaign(db: None) -> Campaign:
    return Campaign.objects.get(slug="next-open-model")
