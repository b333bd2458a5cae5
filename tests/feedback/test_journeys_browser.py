"""In a real Chromium: an answer marked by keyboard and corrected."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from portal.accounts.models import User
from portal.feedback.models import Submission
from tests.browser.visitor import RULES
from tests.feedback.browsing import browsing
from tests.feedback.judgements import make_generation

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

OUTPUT = "A steelyard 🐟 weighs.\nNapoleon invented it."


@pytest.fixture(autouse=True)
def _database_beside_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    # Playwright's loop runs in this thread, but nothing here is asynchronous.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def sound(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert Axe().run(page, options=RULES).response["violations"] == []


def test_an_answer_is_marked_by_keyboard_and_corrected(live_server: Any, alice_client: Client, alice: User) -> None:
    run = make_generation(alice, output=OUTPUT)
    with browsing(live_server.url, alice_client) as context:
        page = context.new_page()
        page.goto(reverse("feedback:closer", args=[run.pk]))
        sound(page)
        page.get_by_text("Bad answer").click()
        page.get_by_label("The answer: select the words in it").focus()
        page.keyboard.press("Control+Home")
        page.keyboard.press("ArrowDown")
        for _character in "Napoleon":
            page.keyboard.press("Shift+ArrowRight")
        expect(page.get_by_label("Words to mark")).to_have_value("Napoleon")
        page.get_by_label("What about them?").select_option("Wrong fact")
        page.get_by_label("Note", exact=False).fill("He did not.")
        page.get_by_role("textbox", name="Corrected answer").fill(OUTPUT.replace("Napoleon", "Nobody we know"))
        page.get_by_role("button", name="Show the difference").click()
        expect(page.locator(".difference ins").first).to_be_visible()
        page.get_by_role("button", name="Add the mark").click()
        expect(page.get_by_text("Saved in the review database.")).to_be_visible()
        sound(page)
    start = OUTPUT.index("Napoleon")
    assert Submission.objects.get().values() == {
        "thumb": "down",
        "marks": [
            {"start": start, "end": start + 8, "quote": "Napoleon", "label": "wrong_fact", "note": "He did not."}
        ],
        "correction": OUTPUT.replace("Napoleon", "Nobody we know"),
    }
