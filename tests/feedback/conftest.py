"""The campaign that is there, and limits that start afresh: people's keys come again with each rolled-back database."""

from __future__ import annotations

import pytest

from portal.feedback.models import Campaign


@pytest.fixture(autouse=True)
def _fresh_limits(fresh_limits: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def campaign(db: None) -> Campaign:
    return Campaign.objects.get(slug="next-open-model")
