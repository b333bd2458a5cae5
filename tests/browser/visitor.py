"""What somebody does in front of the portal, and what a test looks at while they do it."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.services.accessibility import fits, violations, violations_in_both_themes, widest
from tests.services.installation import Installation, eventually

ANSWER_WITHIN_MS = 120_000
# What Chromium and htmx say about an answer with an error status or a network that a test took away.
_OWN_DOING = re.compile(r"Failed to load resource|Response Status Error Code|htmx:(sendError|afterRequest)|net::ERR_")
# Remembers the whole of what was streamed, also after the server's rendering has replaced it.
_WATCH_STREAM = """
() => {
  const remember = () => {
    const place = document.querySelector("[data-stream] [data-text]");
    if (place) { window.streamed = place.textContent; (window.lengths ??= []).push(place.textContent.length); }
  };
  new MutationObserver(remember).observe(document, { subtree: true, childList: true, characterData: true });
}
"""


def hear_complaints(context: BrowserContext) -> list[str]:
    """Collects what any console says: errors, warnings, violations of the content security policy."""
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not _OWN_DOING.search(message.text):
            heard.append(message.text)

    context.on("console", hear)
    context.on("weberror", lambda error: heard.append(str(error.error)))
    return heard


class Visitor:
    """Somebody in front of one tab. Methods read as what they do."""

    def __init__(self, page: Page, portal: Installation) -> None:
        self.page = page
        self.portal = portal
        page.add_init_script(f"({_WATCH_STREAM})()")

    # What is there to see

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_role("textbox", name=re.compile(r"^(Prompt|Next prompt)$"))

    @property
    def streaming(self) -> Locator:
        return self.page.locator("[data-stream]")

    @property
    def streamed_text(self) -> str:
        """All that was streamed into the newest answer."""
        return str(self.page.evaluate("window.streamed ?? ''"))

    @property
    def answers(self) -> Locator:
        return self.page.locator(".prose--answer")

    @property
    def figures(self) -> Locator:
        return self.page.locator("dl.answer__facts")

    @property
    def send_button(self) -> Locator:
        return self.page.get_by_role("button", name="Send")

    # What they do

    def open_playground(self) -> Visitor:
        self.page.goto("/playground/")
        return self

    def set(self, label: str, value: str) -> Visitor:
        """Type a setting; on a narrow page its sheet is opened and closed again."""
        # Before the stylesheet is there, a wide page looks narrow.
        self.page.wait_for_load_state("load")
        sheet = self.page.get_by_role("button", name="Settings", exact=True)
        is_narrow = sheet.is_visible()
        if is_narrow:
            sheet.click()
        self.page.locator("#settings").get_by_label(label).first.fill(value)
        if is_narrow:
            self.page.get_by_role("button", name="Close the settings").click()
        return self

    def press(self, control: Locator) -> Visitor:
        """Press Enter on it. What comes in answer may take the place of what a next key is meant for, or the focus."""
        control.press("Enter")
        return self.settle()

    def settle(self) -> Visitor:
        """Wait until what was asked for is on the page and answers: a test is quicker than a person."""
        expect(self.page.locator(".htmx-added, .htmx-settling, .htmx-swapping, .htmx-request")).to_have_count(0)
        return self

    def ask_for(self, most: int, least: int = 0) -> Visitor:
        """So many tokens. Two thousand last long enough for a test to act in the middle of them, however late it is."""
        self.page.wait_for_load_state("load")
        for label, value in (("Max tokens", most), ("Min tokens", least)):
            self.page.locator("#settings").get_by_label(label).first.evaluate(
                """(field, value) => {
                    field.value = value;
                    field.dispatchEvent(new Event("input", { bubbles: true }));
                    field.dispatchEvent(new Event("change", { bubbles: true }));
                }""",
                str(value),
            )
        return self

    def send(self, prompt: str) -> Visitor:
        """Type a prompt and press Ctrl+Enter."""
        self.prompt.fill(prompt)
        self.prompt.press("Control+Enter")
        return self

    def wait_for_text(self, characters: int = 1) -> str:
        """Until so much of the answer is on the screen."""
        # Playwright's own wait_for_function needs eval, which the content security policy forbids.
        return str(
            eventually(
                lambda: len(self.streamed_text) >= characters and self.streamed_text,
                ANSWER_WITHIN_MS / 1000,
                f"{characters} characters of the answer",
            )
        )

    def wait_for_the_end(self) -> Visitor:
        expect(self.streaming).to_have_count(0, timeout=ANSWER_WITHIN_MS)
        return self

    def ask(self, prompt: str) -> Visitor:
        """Send a prompt and wait for the whole answer."""
        turns = self.page.locator("[data-exchange]")
        already = turns.count()
        self.send(prompt)
        expect(turns).to_have_count(already + 1)
        return self.wait_for_the_end()

    # What a test asks

    def expect_accessible(self) -> None:
        """No violation that axe knows, and nothing that makes the page scroll sideways."""
        found = violations(self.page)
        assert found == [], found
        assert fits(self.page), widest(self.page)

    def expect_accessible_in_both_themes(self) -> None:
        """The same, and the dark theme's colours too."""
        found = violations_in_both_themes(self.page)
        assert found == [], found
        assert fits(self.page), widest(self.page)

    def database(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask (or change) the installation's database behind its back."""
        connection = sqlite3.connect(self.portal.home / "steelyard.sqlite3", timeout=60)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def newest_output(self) -> str:
        """The row's own text of the newest run."""
        rows = self.database("SELECT output FROM playground_generation ORDER BY created_at DESC LIMIT 1")
        return str(rows[0][0])
