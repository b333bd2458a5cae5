"""In a real Chromium: a campaign answered on a phone, and an answer marked by keyboard or by touch and corrected."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from portal.accounts.models import User
from portal.feedback.models import Submission
from portal.feedback.seed import seed_questionnaires
from tests.feedback.browsing import browsing
from tests.feedback.judgements import make_generation
from tests.services.accessibility import violations
from tests.services.installation import eventually

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Where the middle of a word that begins a line of a text area is on the screen.
PLACE_OF_A_WORD = """
(element, word) => {
  element.scrollIntoView({ block: "center", behavior: "instant" });
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = style.font;
  const row = element.value.slice(0, element.value.indexOf(word)).split("\\n").length - 1;
  const half = pen.measureText(word).width / 2;
  return [
    box.x + parseFloat(style.paddingLeft) + half,
    box.y + parseFloat(style.paddingTop) + (row + 0.5) * parseFloat(style.lineHeight),
  ];
}
"""
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
OUTPUT = "A steelyard 🐟 weighs.\nNapoleon invented it."


def sound(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []


def test_a_campaign_is_answered_on_a_phone(live_server: Any) -> None:
    seed_questionnaires()
    with browsing(live_server.url, **PHONE) as context:
        page = context.new_page()
        page.goto("/feedback/")
        page.get_by_role("link", name="What should the next open model be?").tap()
        page.get_by_role("link", name="Take part").tap()
        expect(page.get_by_text("It takes about four minutes.")).to_be_visible()
        sound(page)
        expect(page.get_by_label("Which terms stand in your way?")).to_be_hidden()
        page.get_by_text("Programming", exact=True).tap()
        page.get_by_role("group", name="Does the licence decide").get_by_text("Yes").tap()
        page.get_by_label("Which terms stand in your way?").fill("No commercial use.")
        page.get_by_role("button", name="Save and go on later").tap()
        expect(page.get_by_text("Saved, not sent yet.")).to_be_visible()
        assert not Submission.objects.exists()
        page.goto("/feedback/campaigns/next-open-model/")
        page.get_by_role("link", name="Go on where you stopped").tap()
        page.get_by_label("If you could ask for one thing").fill("Write to jane@example.org")
        page.get_by_role("button", name="Send", exact=True).tap()
        expect(page.get_by_text("Before you send: this looks")).to_be_visible()
        sound(page)
        page.get_by_role("button", name="Send", exact=True).first.tap()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        sound(page)
    assert Submission.objects.get().values() == {
        "uses": ["coding"],
        "licence_matters": "yes",
        "licence_which": "No commercial use.",
        "wish": "Write to [email]",
    }


def test_what_is_typed_survives_a_reload_until_it_has_arrived(live_server: Any) -> None:
    seed_questionnaires()
    form = "/feedback/campaigns/next-open-model/answer/"
    with browsing(live_server.url) as context:
        page = context.new_page()
        page.goto(form)
        wish, programming = page.get_by_label("If you could ask for one thing"), page.get_by_label("Programming")
        page.get_by_role("group", name="Does the licence decide").get_by_text("Yes").click()
        page.get_by_label("Which terms stand in your way?").fill("No commercial use.")
        page.get_by_text("For the reviewers here alone").evaluate("each => each.closest('details').open = true")
        page.get_by_text("For the reviewers here alone").click()
        page.reload()
        expect(page.get_by_label("Which terms stand in your way?")).to_have_value("No commercial use.")
        expect(page.locator("[data-consent]")).to_have_text("For the reviewers here alone")
        # Refused, given back with what is wrong, and there again after the page was left.
        wish.fill("Runs on my phone")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("This question needs an answer.")
        page.goto("/contributions/")
        page.goto(form)
        expect(wish).to_have_value("Runs on my phone")
        # Another tab begins anew, and so does this one once it was sent.
        other = context.new_page()
        other.goto(form)
        expect(other.get_by_label("If you could ask for one thing")).to_have_value("")
        page.get_by_text("Programming", exact=True).click()
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        page.goto(form)
        expect(wish).to_have_value("Runs on my phone")
        page.goto("/contributions/")
        page.get_by_text("Withdraw…").click()
        page.get_by_role("button", name="Withdraw it").click()
        expect(page.get_by_text("Withdrawn").first).to_be_visible()
        page.goto(form)
        expect(wish).to_have_value("")
        expect(programming).not_to_be_checked()


def test_a_correction_being_typed_survives_what_is_saved_elsewhere_and_yields_to_a_newer_one(
    live_server: Any, alice_client: Client, alice: User
) -> None:
    address = reverse("feedback:closer", args=[make_generation(alice, output=OUTPUT).pk])
    with browsing(live_server.url, alice_client) as context:
        page = context.new_page()
        page.goto(address)
        correction = page.get_by_role("textbox", name="Corrected answer")
        correction.fill("Half of a thought")
        assert alice_client.post(address, {"version": "0", "thumb": "down"}).status_code == 302
        page.reload()
        expect(correction).to_have_value("Half of a thought")
        expect(page.get_by_label("Bad answer")).to_be_checked()
        newer = {"version": "1", "thumb": "down", "correction": "On another device."}
        assert alice_client.post(address, newer).status_code == 302
        page.reload()
        expect(correction).to_have_value("On another device.")


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
        expect(page.get_by_text("The mark is on the list.")).to_be_focused()
        sound(page)
        assert not Submission.objects.exists()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("Saved in the review database.")).to_be_visible()
        page.get_by_role("textbox", name="Corrected answer").press_sequentially("!")
        expect(page.get_by_text("Saved in the review database.")).to_be_hidden()
    start = OUTPUT.index("Napoleon")
    assert Submission.objects.get().values() == {
        "thumb": "down",
        "marks": [
            {"start": start, "end": start + 8, "quote": "Napoleon", "label": "wrong_fact", "note": "He did not."}
        ],
        "correction": OUTPUT.replace("Napoleon", "Nobody we know"),
    }


def test_words_are_marked_by_touch_on_a_phone(live_server: Any, alice_client: Client, alice: User) -> None:
    run = make_generation(alice, output=OUTPUT)
    start = OUTPUT.index("Napoleon")
    with browsing(live_server.url, alice_client, **PHONE) as context:
        page = context.new_page()
        page.goto(reverse("feedback:closer", args=[run.pk]))
        page.get_by_text("Bad answer").tap()
        text = page.get_by_label("The answer: select the words in it")
        text.tap()
        # A long press selects nothing in a Chromium without a screen, and the handles at a selection's ends are the
        # system's; a finger that taps a word twice selects it everywhere.
        x, y = text.evaluate(PLACE_OF_A_WORD, "Napoleon")
        fingers = context.new_cdp_session(page)

        def tap_twice() -> bool:
            for _tap in range(2):
                fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
                fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            # Longer than what counts as one gesture: two taps with a pause of the machine between them are none.
            page.wait_for_timeout(1_000)
            return page.get_by_label("Words to mark").input_value() == "Napoleon"

        eventually(tap_twice, 60, "the word is selected")
        page.get_by_label("What about them?").select_option("Wrong fact")
        page.get_by_role("button", name="Add the mark").tap()
        page.get_by_role("button", name="Save", exact=True).tap()
        expect(page.get_by_text("Saved in the review database.")).to_be_visible()
        sound(page)
    [mark] = Submission.objects.get().values()["marks"]
    assert (mark["start"], mark["quote"]) == (start, "Napoleon")
