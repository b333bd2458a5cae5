"""Tabs of a real Chromium, and what `/metrics` is asked with: its token, a store that answers, many rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page
from pytest_django import Settings

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.operations import readiness
from tests.operations.busy_rows import make_busy_rows
from tests.operations.scraper import TOKEN
from tests.services.chromium import chromium


@pytest.fixture
def page() -> Iterator[Page]:
    """A tab of a browser that nobody used before."""
    context = chromium().new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def scraper_token(settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN


@pytest.fixture
def store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ping", lambda url: True)


@pytest.fixture
def busy(alice: User, maintainer: User, reviewer: User) -> list[Variant]:
    return make_busy_rows(alice, maintainer, reviewer)
