"""A real Chromium: the system's where there is one, else Playwright's own."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that ends with the block, and with it the event loop that Playwright keeps in this thread.

    pytest-playwright's own fixtures keep that loop until the session ends, and every later test that uses the database
    or `async_to_sync` would be taken for async code.
    """
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    # Chromium refuses its sandbox to root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
