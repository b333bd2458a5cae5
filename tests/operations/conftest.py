"""A Chromium for the tests of this folder: the system's where there is one, else Playwright's own.

Not pytest-playwright's fixtures: those keep an event loop running in the main thread until the session ends, and every
later test that uses the database or `async_to_sync` would be taken for async code. Here the loop ends with the module.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="module")
def chromium(django_db_setup: None) -> Iterator[Browser]:
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    # Chromium refuses its sandbox to root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # While the loop runs, Django would take the fixtures that empty the database for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=system, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab of a browser that nobody used before."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()
