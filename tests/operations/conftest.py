"""Tabs of a real Chromium for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.services import chromium as browsers


@pytest.fixture(scope="module")
def chromium(django_db_setup: None) -> Iterator[Browser]:
    with browsers.chromium() as browser, pytest.MonkeyPatch.context() as patch:
        # While the loop runs, Django would take the fixtures that empty the database for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab of a browser that nobody used before."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()
