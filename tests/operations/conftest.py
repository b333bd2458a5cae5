"""Tabs of a real Chromium for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.services.chromium import chromium


@pytest.fixture
def page() -> Iterator[Page]:
    """A tab of a browser that nobody used before."""
    context = chromium().new_context()
    yield context.new_page()
    context.close()
