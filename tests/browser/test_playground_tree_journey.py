"""One person through branches, into a run, out by a link and back: real worker, real weights."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.visitor import ANSWER_WITHIN_MS, Visitor
from tests.services.installation import Installation, manage

pytestmark = [pytest.mark.browser, pytest.mark.weights, pytest.mark.processes]


def exported(portal: Installation, table: str) -> list[dict[str, Any]]:
    """What the operator's command writes, as a data set is made of it."""
    lines = manage(portal.home, "export_feedback", "--table", table).stdout.splitlines()
    return [json.loads(line) for line in lines]


def look(visitor: Visitor) -> None:
    """Accessible on a wide light page and on a narrow dark one."""
    page = visitor.page
    visitor.expect_accessible()
    page.set_viewport_size({"width": 360, "height": 800})
    page.emulate_media(color_scheme="dark")
    visitor.expect_accessible()
    page.set_viewport_size({"width": 1280, "height": 860})
    page.emulate_media(color_scheme="light")


def test_branches_the_inside_of_a_run_and_its_permalink(
    visitor: Visitor, browser_context: BrowserContext, browser_program: Browser, portal: Installation
) -> None:
    page = visitor.page
    visitor.open_playground().set("Max tokens", "24").set("Temperature", "0.8")
    expect(page.locator("#context")).to_contain_text("of 8,192 tokens of context")
    visitor.ask("Name a balance with two arms.")
    expect(page.locator(".quota summary")).to_contain_text("runs and")

    # What it took is taken off once it has ended, and not what it might have taken.
    [(used,)] = visitor.database(
        "SELECT json_extract(usage, '$.prompt_tokens') + json_extract(usage, '$.completion_tokens')"
        " FROM playground_generation ORDER BY created_at DESC LIMIT 1"
    )
    expect(page.locator(".quota summary")).to_have_text(f"299 runs and {300_000 - used:,} tokens left")

    # Answer again: a sibling, and the way back to the first one under its own address.
    visitor.press(page.get_by_role("button", name="Answer again"))
    page.wait_for_url(re.compile(r"\?at="))
    visitor.wait_for_the_end()
    expect(page.locator(".siblings__place")).to_have_text("Answer 2 of 2")
    visitor.press(page.get_by_role("link", name="Previous version"))
    expect(page.locator(".siblings__place")).to_have_text("Answer 1 of 2")
    # The next step is one Tab away.
    expect(page.locator(".exchange__versions:has(.siblings)")).to_be_focused()
    expect(page.get_by_text("You are on an older branch")).to_be_visible()
    look(visitor)

    # Another tab keeps its own draft, gets what is sent here token by token, and stays on its branch.
    other = Visitor(browser_context.new_page(), portal)
    other.page.goto(page.url)
    other.prompt.press_sequentially("a draft")
    visitor.ask_for(2_000, least=2_000).send("Write a long story about it.")
    # It grows there while it is written: nobody has stopped it yet.
    other.wait_for_text(len(other.wait_for_text(10)) + 40)
    expect(page.locator("[data-exchange]")).to_have_count(2)
    page.keyboard.press("Escape")
    visitor.wait_for_the_end()
    other.wait_for_the_end()
    expect(other.page.locator("[data-exchange]")).to_have_count(2)
    assert other.streamed_text == visitor.streamed_text == visitor.newest_output()
    expect(other.prompt).to_have_value("a draft")
    visitor.press(page.get_by_role("link", name="Edit prompt 1"))
    changed = page.get_by_role("textbox", name="Changed prompt")
    expect(changed).to_have_value("Name a balance with two arms.")
    expect(changed).to_be_focused()
    visitor.ask_for(24)
    changed.fill("Name a balance with one arm.")
    changed.press("Control+Enter")
    expect(page.locator(".siblings__place")).to_have_text("Prompt 2 of 2")
    expect(other.page.get_by_text("went on along another branch, in another tab")).to_be_visible()
    expect(other.page.locator(".siblings__place")).to_have_text(["Prompt 1 of 2", "Answer 1 of 2"])
    expect(other.page.locator("[data-exchange]")).to_have_count(2)
    look(other)
    visitor.wait_for_the_end()
    visitor.press(page.get_by_role("link", name="Rename"))
    page.get_by_label("Title").fill("Arms")
    visitor.press(page.get_by_label("Title"))
    expect(other.page.get_by_role("heading", level=1)).to_have_text("Arms")
    other.page.close()

    # Inside: one Tab stop, arrows, Enter; then on from another choice.
    visitor.press(page.get_by_role("link", name="Look inside"))
    tokens = page.locator("[data-tokens] a")
    # The script has made them one stop of the Tab key.
    expect(tokens.nth(1)).to_have_attribute("tabindex", "-1")
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(2)).to_be_focused()
    expect(page.locator("#readout")).to_contain_text("bits of surprise")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("Token 3"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"token=2"))
    page.keyboard.press("Escape")
    expect(page.locator("#alternatives")).to_have_text("Nothing is chosen yet.")
    expect(tokens.nth(2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("Token 3"))).to_be_visible()
    # Each way on fits beside the text.
    assert page.locator("#alternatives .table-scroll").evaluate("each => each.scrollWidth <= each.clientWidth")
    look(visitor)
    visitor.press(page.get_by_role("link", name="Table"))
    expect(page.get_by_role("columnheader", name="Probability", exact=True)).to_be_visible()
    visitor.expect_accessible()
    page.go_back()
    # On a phone: on from another choice, both versions weighed, and the preference kept as a pair.
    page.set_viewport_size({"width": 360, "height": 800})
    visitor.press(page.get_by_role("button", name=re.compile("Continue from here")).first)
    page.wait_for_url(re.compile(r"\?at="))
    visitor.wait_for_the_end()
    expect(page.get_by_text("up to token 3")).to_be_visible()
    expect(page.locator(".siblings__place").last).to_have_text("Answer 2 of 2")
    visitor.press(page.get_by_role("link", name="Which version is better?"))
    page.get_by_role("radio", name="The version with your token").press("Space")
    visitor.expect_accessible()
    visitor.press(page.get_by_role("button", name="Send", exact=True))
    expect(page.get_by_role("heading", name="Your contributions")).to_be_visible()
    expect(page.get_by_text("The version with your token")).to_be_visible()
    [pair] = [each for each in exported(portal, "dpo") if each["origin"] == "token_choice"]
    [(branch, original)] = visitor.database(
        "SELECT branch.output, original.output FROM playground_generation branch"
        " JOIN playground_generation original ON original.id = branch.branched_from_id"
    )
    assert [pair[side][0]["content"] for side in ("chosen", "rejected")] == [branch, original]
    visitor.press(page.get_by_role("link", name="Name a balance with one arm.", exact=True))
    page.set_viewport_size({"width": 1280, "height": 860})

    # The record, its link in a stranger's browser, and the link's end.
    visitor.press(page.get_by_role("link", name="Cite, share, re-run"))
    visitor.press(page.get_by_role("button", name="Share by link"))
    url = page.locator("#shared-url").inner_text()
    look(visitor)
    stranger = browser_program.new_context()
    their_page = stranger.new_page()
    their_page.goto(url)
    expect(their_page.get_by_text("Name a balance with one arm.").first).to_be_visible()
    visitor.press(page.get_by_role("button", name="Revoke the link"))
    expect(page.get_by_role("button", name="Share by link")).to_be_visible()
    answer = their_page.goto(url)
    assert answer is not None
    assert answer.status == 404
    stranger.close()

    # The same once more, beside the earlier one.
    visitor.press(page.get_by_role("button", name="Re-run"))
    expect(page.get_by_text(re.compile("^(Exact|Not exact)"))).to_be_visible(timeout=ANSWER_WITHIN_MS)
    visitor.expect_accessible()

    # Found, deleted, taken back.
    page.goto("/playground/conversations/?q=one+arm")
    visitor.press(page.get_by_role("button", name=re.compile("^Delete")))
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    look(visitor)
    visitor.press(page.get_by_role("button", name="Undo"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Arms")


def test_settings_raw_text_and_scores(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open_playground()
    visitor.press(page.locator("#presets-fold > summary"))
    visitor.press(page.get_by_role("button", name="Creative"))
    expect(page.get_by_role("spinbutton", name="Temperature")).to_have_value("1.1")
    expect(page.get_by_role("button", name="Creative")).to_be_focused()
    page.get_by_label("Name for these settings").fill("Lively")
    visitor.press(page.locator("#presets-fold").get_by_role("button", name="Save"))
    expect(page.get_by_text("Saved as “Lively”.")).to_be_visible()
    page.goto("/playground/presets/")
    visitor.press(page.get_by_role("button", name="Share by link"))
    page.get_by_role("main").get_by_role("link", name=re.compile("^http")).click()
    expect(page.get_by_role("heading", name="Lively")).to_be_visible()
    visitor.open_playground()
    visitor.press(page.locator("#presets-fold > summary"))
    visitor.press(page.get_by_role("button", name="Lively"))
    expect(page.get_by_role("spinbutton", name="Temperature")).to_have_value("1.1")
    visitor.press(page.locator("#json-fold > summary"))
    visitor.press(page.get_by_role("button", name="Show these settings"))
    field = page.get_by_role("textbox", name="Parameters as JSON")
    expect(field).to_have_value(re.compile('"temperature": 1.1'))
    box = field.bounding_box()
    assert box is not None
    assert box["width"] > 200
    field.fill('{"temperature": 7}')
    visitor.press(page.get_by_role("button", name="Apply"))
    expect(page.locator("#json_error")).to_contain_text("temperature: must be a number")
    look(visitor)
    page.get_by_role("textbox", name="Parameters as JSON").fill('{"max_tokens": 12, "temperature": 0}')
    visitor.press(page.get_by_role("button", name="Apply"))
    expect(page.get_by_role("spinbutton", name="Max tokens")).to_have_value("12")

    visitor.press(page.get_by_role("link", name="Raw completion"))
    page.get_by_role("textbox", name="Text to continue").fill("Once upon a time")
    page.get_by_role("textbox", name="Text to continue").press("Control+Enter")
    expect(page.locator(".answer__text--raw")).to_be_visible(timeout=ANSWER_WITHIN_MS)

    page.set_viewport_size({"width": 360, "height": 800})
    page.goto("/playground/?kind=score")
    visitor.expect_accessible()
    page.get_by_role("textbox", name="Text to score").fill("The cat sat on the quantum mat.")
    page.get_by_role("textbox", name="Text to score").press("Control+Enter")
    expect(page.locator(".inside__score")).to_contain_text("Perplexity", timeout=ANSWER_WITHIN_MS)
    visitor.press(page.get_by_role("link", name="Look inside"))
    expect(page.get_by_role("heading", name="Most surprising tokens")).to_be_visible()
    look(visitor)
    page.goto("/playground/library/")
    look(visitor)
