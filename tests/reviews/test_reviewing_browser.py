"""Reviewing in a real Chromium: twenty items by keyboard alone, a disagreement that a third person ends, axe."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from portal.accounts.models import User
from portal.reviews.models import Review, ReviewItem
from portal.reviews.settling import ItemState
from tests.conftest import signed_in
from tests.feedback.browsing import browsing
from tests.feedback.judgements import judge, make_generation
from tests.reviews.desk import give_verdict
from tests.services.accessibility import violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ITEMS = 20


def on_item(page: Page, number: int) -> None:
    expect(page.get_by_role("heading", name=f"Item {number}", exact=True)).to_be_visible()
    # By then the scripts have run that the keys need.
    page.wait_for_load_state("domcontentloaded")


def accessible(page: Page) -> None:
    assert violations(page) == []


def test_a_reviewer_clears_twenty_items_by_keyboard_alone(live_server: Any, alice: User, reviewer: User) -> None:
    for number in range(ITEMS):
        judge(alice, make_generation(alice, prompt=f"Prompt {number}"), comment=f"What I say about answer {number}.")
    numbers = list(ReviewItem.objects.order_by("entered_at", "id").values_list("pk", flat=True))
    with browsing(live_server.url, signed_in(reviewer)) as context:
        page = context.new_page()
        page.goto(reverse("reviews:queue"))
        accessible(page)
        page.keyboard.press("j")
        expect(page.get_by_role("link", name=f"#{numbers[-1]}", exact=True)).to_be_focused()
        page.keyboard.press("o")
        on_item(page, numbers[-1])
        # It is nobody's yet, so that keys of verdicts say what comes first.
        expect(page.get_by_role("status").filter(has_text="take this item first")).to_have_count(0)
        page.keyboard.press("1")
        expect(page.get_by_role("status").filter(has_text="take this item first")).to_be_visible()
        page.keyboard.press("n")
        on_item(page, numbers[0])
        # What is not rendered before its words come may not be announced.
        expect(page.locator("[data-hint]")).to_be_empty()
        expect(page.locator("[data-hint]")).not_to_have_css("display", "none")
        accessible(page)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog").get_by_text("Skip")).to_have_count(0)
        expect(page.get_by_role("dialog").get_by_text("Accept", exact=True)).to_be_visible()
        page.keyboard.press("Escape")
        # A slip, and back.
        page.keyboard.press("4")
        on_item(page, numbers[1])
        page.keyboard.press("u")
        on_item(page, numbers[0])
        for place, number in enumerate(numbers):
            on_item(page, number)
            match place:
                case 3:
                    page.keyboard.press("2")
                    expect(page.get_by_label("Why it is rejected")).to_be_focused()
                    page.keyboard.press("ArrowDown")
                    page.keyboard.press("Enter")
                case 5:
                    page.keyboard.press("3")
                    expect(page.get_by_text("Write the number of the item that it repeats, then Enter")).to_be_visible()
                    page.keyboard.type("987654")
                    page.keyboard.press("Enter")
                    # What was refused is mended by the same keys, and not sent again as it was.
                    expect(page.get_by_role("alert").filter(has_text="There is no item #987654.")).to_be_focused()
                    page.keyboard.press("3")
                    page.keyboard.type(f"#{numbers[0]}")
                    page.keyboard.press("Enter")
                case 7:
                    page.keyboard.press("5")
                    page.keyboard.type("Which sentence do you mean?")
                    page.keyboard.press("Control+Enter")
                case _:
                    page.keyboard.press("1")
        expect(page.get_by_text("Nothing waits for you here")).to_be_visible()
    live = Review.objects.filter(superseded_at=None)
    assert live.count() == ITEMS
    assert Review.objects.filter(superseded_by="undone").count() == 1
    others = live.exclude(verdict="accept").order_by("verdict").values_list("verdict", flat=True)
    assert list(others) == ["duplicate", "question", "reject"]
    assert live.filter(active_s__isnull=True).count() == 0, "the time was counted"


def test_two_disagree_and_a_third_decides(
    live_server: Any, alice: User, reviewer: User, second_reviewer: User, third_reviewer: User
) -> None:
    judge(alice, make_generation(alice), thumb="down", comment="The second arm is missing.")
    item = ReviewItem.objects.get()
    give_verdict(reviewer, item, note="The answer names both arms.", verdict="reject")
    with browsing(live_server.url, signed_in(second_reviewer)) as context:
        page = context.new_page()
        page.goto(reverse("reviews:queue"))
        page.keyboard.press("n")
        on_item(page, item.pk)
        expect(page.get_by_text("The answer names both arms.")).to_have_count(0)
        page.keyboard.press("1")
        expect(page.get_by_text("Nothing waits for you here")).to_be_visible()
    phone = {"viewport": {"width": 360, "height": 740}}
    with browsing(live_server.url, signed_in(third_reviewer), **phone) as context:
        page = context.new_page()
        page.goto(reverse("reviews:queue"))
        page.get_by_role("button", name="Review the next").first.click()
        expect(page.get_by_role("heading", name="Your decision")).to_be_visible()
        expect(page.get_by_text("The answer names both arms.")).to_be_visible()
        accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_role("button", name="Accept").click()
        expect(page.get_by_text("Nothing waits for you here")).to_be_visible()
    item.refresh_from_db()
    assert (item.state, item.outcome) == (ItemState.DECIDED, "accept")


def test_the_pages_of_maintainers_are_accessible(
    live_server: Any, alice: User, reviewer: User, second_reviewer: User, superuser: User
) -> None:
    for verdict in ("accept", "reject", "accept"):
        judge(alice, make_generation(alice), comment="The second arm is missing from this answer, I think.")
        item = ReviewItem.objects.order_by("-pk")[0]
        give_verdict(reviewer, item, verdict)
        give_verdict(second_reviewer, item, verdict)
    with browsing(live_server.url, signed_in(superuser)) as context:
        page = context.new_page()
        for name in ("overview", "agreement", "rules", "history", "limitations", "guidelines", "questions", "abuse"):
            page.goto(reverse(f"reviews:{name}"))
            accessible(page)
        page.goto(reverse("reviews:propose", args=[ReviewItem.objects.all()[0].card_id]))
        accessible(page)
