"""The judgement panel in a real Chromium: one click, details, races, errors, withdrawal and undo, keyboard, axe."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from portal.accounts.models import User
from portal.feedback.models import Submission
from portal.playground.models import Generation
from tests.feedback.browsing import browsing
from tests.feedback.judgements import judge, make_generation
from tests.services.accessibility import violations_in_both_themes
from tests.services.installation import eventually

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def generation(alice: User) -> Generation:
    return make_generation(alice)


def open_panel(page: Page, generation: Generation) -> Page:
    page.goto(reverse("feedback:panel", args=[generation.pk]))
    return page


def saved(page: Page) -> None:
    expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()


def said() -> dict[str, Any]:
    return Submission.objects.get().values()


def said_soon(wanted: dict[str, Any]) -> None:
    """A status that says so may be of an earlier save: more than one can be on its way."""
    eventually(lambda: said() == wanted, 60, f"{wanted} is kept")


def test_one_click_saves_and_opens_to_the_rest(live_server: Any, alice_client: Client, generation: Generation) -> None:
    with browsing(live_server.url, alice_client) as context:
        page = open_panel(context.new_page(), generation)
        expect(page.get_by_role("group", name="How helpful was it?")).to_be_hidden()
        page.get_by_text("Good answer").click()
        saved(page)
        assert said() == {"thumb": "up"}
        expect(page.get_by_role("group", name="What is good about it?")).to_be_visible()
        expect(page.get_by_role("group", name="What is wrong with it?")).to_be_hidden()
        page.locator(".rating label").nth(3).click()
        page.get_by_text("Clear and well written").click()
        page.get_by_label("Comment").fill("Two\nlines.")
        page.get_by_role("button", name="Save").click()
        said_soon({"thumb": "up", "helpfulness": 4, "reasons_up": ["clear"], "comment": "Two\nlines."})
        saved(page)
        page.reload()
        expect(page.get_by_label("Comment")).to_have_value("Two\nlines.")


def test_a_hurried_person_loses_nothing(live_server: Any, alice_client: Client, generation: Generation) -> None:
    """Typing goes on while the click is on its way, and clicks follow each other faster than the answers."""

    def slowly(route: Route) -> None:
        page.wait_for_timeout(300)
        route.continue_()

    with browsing(live_server.url, alice_client) as context:
        page = open_panel(context.new_page(), generation)
        page.route("**/feedback/g/**", slowly)
        page.get_by_text("Good answer").click()
        page.get_by_text("Bad answer").click()
        page.get_by_label("Comment").press_sequentially("Typed meanwhile.")
        saved(page)
        expect(page.get_by_label("Comment")).to_have_value("Typed meanwhile.")
        page.get_by_role("button", name="Save").click()
        wanted = {"thumb": "down", "comment": "Typed meanwhile."}

        def is_kept() -> bool:
            page.wait_for_timeout(100)  # lets the requests go on, which wait in `slowly`
            return said() == wanted

        eventually(is_kept, 60, "what was typed meanwhile is kept")
        page.unroute_all(behavior="wait")
        expect(page.locator("[data-error-notice]")).to_have_count(0)
        assert said() == wanted


def test_a_change_made_elsewhere_is_shown_and_nothing_typed_is_lost(
    live_server: Any, alice_client: Client, alice: User, generation: Generation
) -> None:
    judge(alice, generation)
    with browsing(live_server.url, alice_client) as context:
        page = open_panel(context.new_page(), generation)
        judge(alice, generation, comment="From another tab.")
        page.get_by_label("Comment").fill("From this tab.")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_contain_text("You changed this judgement elsewhere")
        expect(page.get_by_label("Comment")).to_have_value("From this tab.")
        assert said()["comment"] == "From another tab."
        page.get_by_role("button", name="Save").click()
        said_soon({"thumb": "up", "comment": "From this tab."})
        saved(page)


def test_a_draft_survives_a_lost_network_and_a_reload(
    live_server: Any, alice_client: Client, generation: Generation
) -> None:
    with browsing(live_server.url, alice_client) as context:
        page = open_panel(context.new_page(), generation)
        page.get_by_text("Bad answer").click()
        saved(page)
        context.set_offline(True)
        page.get_by_label("Comment").fill("Not sent yet.")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#notices")).not_to_be_empty()
        context.set_offline(False)
        page.reload()
        expect(page.get_by_label("Comment")).to_have_value("Not sent yet.")


def test_a_comment_that_is_too_long_is_refused_in_words_and_not_cut(
    live_server: Any, alice_client: Client, alice: User, generation: Generation
) -> None:
    judge(alice, generation)
    with browsing(live_server.url, alice_client) as context:
        page = open_panel(context.new_page(), generation)
        comment = page.get_by_label("Comment")
        comment.fill("é" * 3_599)
        expect(page.get_by_text("Characters left:")).to_be_hidden()
        comment.fill("é" * 3_990)
        expect(page.get_by_text("Characters left: 10", exact=True)).to_be_visible()
        comment.fill("é" * 4_001)
        expect(page.get_by_text("Characters left: -1", exact=True)).to_be_visible()
        with page.expect_response(lambda answer: answer.status == 422):
            page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Must have at most 4000 characters; this has 4001.")).to_be_visible()
        expect(comment).to_have_value("é" * 4_001)
        expect(page.get_by_text("Characters left: -1", exact=True)).to_be_visible()
        assert said() == {"thumb": "up"}
        comment.fill("é" * 4_000)
        with page.expect_response(lambda answer: answer.request.method == "POST" and answer.status == 200):
            page.get_by_role("button", name="Save").click()
        saved(page)
        assert said()["comment"] == "é" * 4_000


def test_withdrawing_can_be_undone(live_server: Any, alice_client: Client, alice: User, generation: Generation) -> None:
    judge(alice, generation, helpfulness=5, reasons_up=["clear", "correct"], comment="Kept.")
    before = said()
    with browsing(live_server.url, alice_client) as context:
        page = open_panel(context.new_page(), generation)
        page.get_by_role("button", name="Withdraw my judgement").click()
        expect(page.get_by_text("Withdrawn. What you said is deleted")).to_be_focused()
        assert Submission.objects.get().is_withdrawn
        page.get_by_role("button", name="Undo").click()
        saved(page)
        expect(page.get_by_role("button", name="Undo")).to_have_count(0)
        assert said() == before


def test_the_keyboard_is_enough(live_server: Any, alice_client: Client, generation: Generation) -> None:
    with browsing(live_server.url, alice_client) as context:
        page = open_panel(context.new_page(), generation)
        page.get_by_role("radio", name="Good answer").focus()
        page.keyboard.press("Space")
        saved(page)
        expect(page.get_by_role("radio", name="Good answer")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="2 A little")).to_be_checked()
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        expect(page.get_by_role("checkbox", name="Correct")).to_be_checked()
        page.get_by_role("button", name="Save").focus()
        page.keyboard.press("Enter")
        said_soon({"thumb": "up", "helpfulness": 2, "reasons_up": ["correct"]})


def test_without_javascript_everything_works_too(
    live_server: Any, alice_client: Client, generation: Generation
) -> None:
    with browsing(live_server.url, alice_client, java_script_enabled=False) as context:
        page = open_panel(context.new_page(), generation)
        page.get_by_text("Bad answer").click()
        page.get_by_text("Repeats itself").click()
        page.get_by_role("button", name="Save").locator("visible=true").click()
        saved(page)
        assert said() == {"thumb": "down", "reasons_down": ["repetitive"]}
        page.get_by_role("button", name="Withdraw my judgement").click()
        page.get_by_role("button", name="Undo").click()
        saved(page)
        assert said() == {"thumb": "down", "reasons_down": ["repetitive"]}


@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(
    live_server: Any, alice_client: Client, alice: User, generation: Generation, width: int
) -> None:
    judge(alice, generation, helpfulness=5, reasons_up=["clear"], comment="Kept.")
    with browsing(live_server.url, alice_client, viewport={"width": width, "height": 800}) as context:
        page = open_panel(context.new_page(), generation)
        for _ in range(2):
            assert violations_in_both_themes(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.goto(reverse("feedback:contributions"))


def test_the_panel_comes_by_itself_below_an_answer_in_the_playground(
    live_server: Any, alice_client: Client, generation: Generation
) -> None:
    with browsing(live_server.url, alice_client) as context:
        page = context.new_page()
        page.goto(generation.conversation.get_absolute_url())
        page.get_by_role("radio", name="Good answer").check(force=True)
        saved(page)
        expect(page.get_by_role("group", name="What is good about it?")).to_be_visible()
        assert said() == {"thumb": "up"}
        assert page.url.endswith(generation.conversation.get_absolute_url())
