"""The product as a person starts it (`manage.py up`, the real weights) and a Chromium in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.visitor import Visitor, hear_complaints
from tests.services.chromium import chromium
from tests.services.installation import Installation


@pytest.fixture
def browser_program() -> Browser:
    return chromium()


@pytest.fixture
def browser_context(browser_program: Browser, portal: Installation) -> Iterator[BrowserContext]:
    """A browser that nobody used before, whose console has to stay empty."""
    context = browser_program.new_context(
        base_url=f"http://127.0.0.1:{portal.port}", viewport={"width": 1280, "height": 860}
    )
    complaints = hear_complaints(context)
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def tab(browser_context: BrowserContext) -> Page:
    return browser_context.new_page()


@pytest.fixture
def visitor(tab: Page, portal: Installation) -> Visitor:
    """Somebody without an account, in front of the portal."""
    return Visitor(tab, portal)
