"""The playground's pages in each of their states: wide and narrow, light and dark, with axe and an empty console."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.weights, pytest.mark.processes]

RICH = """## A table and some code

A paragraph with **weight**, a [link](https://example.org/) and `code`.

| balance | arms | since |
|---------|-----:|-------|
| steelyard | 2 | antiquity |
| bismar | 1 | the Bronze Age, as far as finds tell, and this cell is long |

```python
def moment(weight: float, arm: float) -> float:  # a line that is longer than a narrow page is wide, so that it scrolls
    return weight * arm
```

1. First
2. Second
   - nested

> Quoted.
"""


@pytest.mark.parametrize("width", [1280, 360])
def test_every_state_of_the_pages_is_accessible(visitor: Visitor, width: int) -> None:
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 800})

    page.goto("/playground/conversations/")
    expect(page.get_by_text("No conversations yet")).to_be_visible()
    visitor.expect_accessible_in_both_themes()

    visitor.open_playground().expect_accessible_in_both_themes()
    if width == 360:
        page.get_by_role("button", name="Settings", exact=True).click()
        expect(page.get_by_label("Seed")).to_be_visible()
        visitor.expect_accessible_in_both_themes()
        page.keyboard.press("Escape")
        expect(page.get_by_label("Seed")).to_be_hidden()

    visitor.set("Top-p", "7")
    visitor.send("Refused")
    expect(page.get_by_role("alert")).to_contain_text("Top-p: Above 0 and at most 1.")
    visitor.expect_accessible_in_both_themes()
    page.get_by_role("link", name="Top-p: Above 0 and at most 1.").click()
    expect(page.get_by_role("spinbutton", name="Top-p")).to_be_focused()
    if width == 360:
        page.keyboard.press("Escape")

    visitor.set("Top-p", "0.9").set("Max tokens", "400").send("Write a long story about a balance.")
    visitor.wait_for_text(5)
    visitor.expect_accessible_in_both_themes()
    page.keyboard.press("Escape")
    visitor.wait_for_the_end()
    expect(page.locator("[data-feedback]")).to_be_visible()
    visitor.expect_accessible_in_both_themes()

    visitor.database("UPDATE playground_generation SET output = ?, thinking = 'Two arms, one truth.'", RICH)
    page.reload()
    expect(page.locator(".prose--answer table")).to_be_visible()
    copy = page.locator(".prose--answer").get_by_role("button", name="Copy").bounding_box()
    assert copy is not None
    assert copy["width"] > 40
    visitor.expect_accessible_in_both_themes()

    visitor.database(
        "UPDATE playground_generation SET output = '', state = 'failed', finish_reason = '', "
        "error_code = 'out_of_memory', error_message = 'The worker ran out of memory.'"
    )
    page.reload()
    expect(page.get_by_text("The worker ran out of memory.")).to_be_visible()
    visitor.expect_accessible_in_both_themes()

    page.goto("/playground/conversations/")
    expect(page.get_by_role("link", name="Write a long story about a balance.", exact=True)).to_be_visible()
    visitor.expect_accessible_in_both_themes()


def test_an_example_fills_the_prompt_and_undo_gives_back_what_stood_there(visitor: Visitor) -> None:
    visitor.open_playground()
    visitor.prompt.press_sequentially("mine")
    example = visitor.page.locator("[data-fill]").first
    example.click()
    expect(visitor.prompt).to_have_value(example.get_attribute("data-fill") or "")
    expect(visitor.prompt).to_be_focused()
    visitor.page.keyboard.press("Control+z")
    expect(visitor.prompt).to_have_value("mine")


def test_the_range_and_the_number_say_the_same(visitor: Visitor) -> None:
    visitor.open_playground()
    visitor.set("Temperature", "1.5")
    slider = visitor.page.get_by_role("slider", name="Temperature")
    expect(slider).to_have_value("1.5")
    slider.press("ArrowLeft")
    expect(visitor.page.get_by_role("spinbutton", name="Temperature")).to_have_value("1.45")


def test_a_screen_reader_hears_sentences_and_not_tokens(visitor: Visitor) -> None:
    page = visitor.page
    deltas = ["One", " sen", "tence. ", "Ano", "ther", " one.", "\nRest"]
    events = [("delta", {"text": text, "channel": "answer", "tokens": []}) for text in deltas]
    events.append(("finished", {"finish_reason": "stop", "usage": {}, "timings": {}}))
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    page.route(
        "**/events/",
        lambda route: route.fulfill(
            content_type="text/event-stream",
            body=body,
        ),
    )
    visitor.open_playground().set("Max tokens", "4").send("Say hello.")
    heard = page.locator("#announcer p")
    expect(heard.last).to_have_text("The answer is complete.")
    said = heard.all_inner_texts()
    assert said[-2] == "Rest"
    assert "tence." not in said
