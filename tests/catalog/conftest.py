"""Tabs of a real Chromium for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page

from tests.services.chromium import chromium


@pytest.fixture
def tab() -> Iterator[Page]:
    """A tab of a browser that nobody used before, whose console has to stay empty."""
    context = chromium().new_context()
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
