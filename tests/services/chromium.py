"""A real Chromium: the system's where there is one, else Playwright's own."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

# A busy machine is slow; a test that passes waits no longer for it.
expect.set_options(timeout=20_000)
_kept = contextlib.ExitStack()
_running: list[Browser] = []


@contextlib.contextmanager
def _chromium() -> Iterator[Browser]:
    """A browser that ends with the block, and with it the event loop that Playwright keeps in this thread."""
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    # Chromium refuses its sandbox to root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def chromium() -> Browser:
    """One browser for all tests of a module, started for the first that asks; it ends with the module.

    pytest-playwright's own fixtures keep their event loop until the session ends, and every later test that uses the
    database or `async_to_sync` would be taken for async code.
    """
    if not _running:
        _running.append(_kept.enter_context(_chromium()))
        patch = _kept.enter_context(pytest.MonkeyPatch.context())
        # While the loop runs, Django would take the fixtures that empty the database for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    return _running[0]


def end_chromium() -> None:
    """At the end of every module."""
    _running.clear()
    _kept.close()
