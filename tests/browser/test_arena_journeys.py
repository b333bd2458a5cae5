"""Side by side, a battle and the leaderboard as somebody goes through them, with the keyboard, wide and narrow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.visitor import ANSWER_WITHIN_MS, Visitor
from tests.services.installation import Installation

pytestmark = [pytest.mark.browser, pytest.mark.weights, pytest.mark.processes]


@pytest.fixture(scope="module")
def two_models(portal: Installation) -> Iterator[Installation]:
    """The model that Steelyard brings, and the same weights once more under the name of another card."""
    connection = sqlite3.connect(portal.home / "steelyard.sqlite3", timeout=60)
    with connection:
        for table, values in (
            ("catalog_modelcard", {"owner_name": "'twin'", "slug": "'sibling'", "title": "'Sibling'"}),
            ("catalog_variant", {"card_id": "(SELECT max(id) FROM catalog_modelcard)", "slug": "'copy'"}),
        ):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
            chosen = ", ".join(values.get(name, name) for name in names)
            first = f"(SELECT min(id) FROM {table})"
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM {table} WHERE id = {first}"
            )
    yield portal
    with connection:
        connection.execute("UPDATE catalog_variant SET is_runnable = 0 WHERE slug = 'copy'")
    connection.close()


def narrow_and_dark(visitor: Visitor) -> None:
    """The same page on a phone at night, and back."""
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.page.emulate_media(color_scheme="dark")
    visitor.expect_accessible()
    visitor.page.set_viewport_size({"width": 1280, "height": 860})
    visitor.page.emulate_media(color_scheme="light")


def limit_answers(page: Page, tokens: str) -> None:
    for column in range(2):
        page.locator(f"#id_c{column}-max_tokens").fill(tokens)


def test_compare_battle_and_leaderboard_by_keyboard(visitor: Visitor, two_models: Installation) -> None:
    page = visitor.page

    # Side by side: one prompt, two columns, streaming together.
    page.goto("/compare/")
    visitor.expect_accessible()
    narrow_and_dark(visitor)
    limit_answers(page, "40")
    page.locator("#id_c1-variant").select_option("twin/sibling:copy")
    page.get_by_label("Prompt", exact=True).fill("Name three kinds of balances.")
    page.reload()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("Name three kinds of balances.")
    limit_answers(page, "40")
    page.locator("#id_c1-variant").select_option("twin/sibling:copy")
    # The next page's script is late: what is typed before it is there is kept too.
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/arena*.js", hold)
    page.get_by_label("Prompt", exact=True).press("Control+Enter")
    expect(page.locator(".contest__column")).to_have_count(2)
    page.get_by_label("Next prompt").press_sequentially("Typed while")
    for each in late:
        each.continue_()
    page.unroute("**/arena*.js")
    expect(page.get_by_role("heading", name="Which is better?")).to_be_visible(timeout=ANSWER_WITHIN_MS)
    expect(page.get_by_label("Next prompt")).to_have_value("Typed while")
    expect(page.get_by_label("Next prompt")).to_be_focused()
    expect(page.locator(".contest__column .prose--answer")).to_have_count(2)
    visitor.expect_accessible()
    narrow_and_dark(visitor)
    page.get_by_role("link", name="Mark the differences").click()
    expect(page.get_by_role("heading", name="What differs")).to_be_visible()
    visitor.expect_accessible()
    page.keyboard.press("1")
    expect(page.get_by_text("You said that A is better.")).to_be_visible()

    page.get_by_label("Next prompt").fill("And which is the oldest?")
    page.get_by_label("Next prompt").press("Control+Enter")
    expect(page.locator(".contest__turn")).to_have_count(2)

    # All of them can be stopped.
    settings = "&".join(f"c{column}-{name}_tokens=2000" for column in range(2) for name in ("min", "max"))
    page.goto(f"/compare/?c1-variant=twin/sibling:copy&{settings}")
    page.get_by_label("Prompt", exact=True).fill("Write a very long story about a balance.")
    page.get_by_label("Prompt", exact=True).press("Control+Enter")
    expect(page.get_by_role("button", name="Stop all")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Stop all")).to_have_count(0, timeout=ANSWER_WITHIN_MS)

    # A battle: no name before the vote, not even in the page's source.
    page.goto("/arena/")
    visitor.expect_accessible()
    narrow_and_dark(visitor)
    page.get_by_label("Prompt", exact=True).fill("Say in one sentence what a balance is.")
    page.get_by_label("Prompt", exact=True).press("Control+Enter")
    expect(page.locator("[data-side]")).to_have_count(2)
    visitor.expect_accessible()
    for name in ("sibling", "Sibling", "SmolLM2-135M"):
        assert name not in page.locator("#battle").inner_html()
    expect(page.get_by_role("heading", name="Which is better?")).to_be_visible(timeout=ANSWER_WITHIN_MS)
    for name in ("sibling", "Sibling"):
        assert name not in page.locator("#battle").inner_html()
    visitor.expect_accessible()
    narrow_and_dark(visitor)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="You preferred A")).to_be_visible()
    expect(page.get_by_text("Sibling").first).to_be_visible()
    visitor.expect_accessible()
    narrow_and_dark(visitor)

    # The vote is ranked by the worker, and the page shows it by itself. What the model said of itself may void it.
    visitor.database("UPDATE arena_vote SET void_reason = '', changed_at = '2030-01-01 00:00:00'")
    page.goto("/leaderboard/")
    expect(page.locator(".leaderboard__chart")).to_be_visible(timeout=ANSWER_WITHIN_MS)
    expect(page.locator(".chart__point")).to_have_count(2)
    visitor.expect_accessible()
    narrow_and_dark(visitor)
    with page.expect_download() as download:
        page.get_by_role("link", name="Votes as CSV").click()
    assert download.value.suggested_filename == "votes-models.csv"
    page.get_by_role("link", name="Method").click()
    visitor.expect_accessible()
    narrow_and_dark(visitor)
