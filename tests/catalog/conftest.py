"""A Chromium for the browser tests of this folder, whose event loop ends with the module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.services.chromium import chromium


@pytest.fixture(scope="module")
def browser_program(django_db_setup: None) -> Iterator[Browser]:
    with chromium() as browser, pytest.MonkeyPatch.context() as patch:
        # While playwright's loop runs, Django would take the fixtures that empty the database for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield browser


@pytest.fixture
def tab(browser_program: Browser) -> Iterator[Page]:
    """A tab of a browser that nobody used before, whose console has to stay empty."""
    context = browser_program.new_context()
    complaints: list[str] = []
    page = context.new_page()

    def hear(message: ConsoleMessage) -> None:
        # Chromium calls every answer above 399 an error; a conflict that is shown to its author is none.
        if message.type in {"error", "warning"} and "409 (Conflict)" not in message.text:
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []
