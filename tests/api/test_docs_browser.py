"""Swagger UI and ReDoc in a real Chromium: complete, from this server alone, and without one CSP violation."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from portal.accounts.models import User
from portal.feedback.models import Submission
from tests.feedback.browsing import browsing
from tests.feedback.judgements import make_generation
from tests.services.installation import eventually

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def hosts_asked(page: Page) -> set[str]:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    return hosts


def test_swagger_ui_shows_the_api_and_tries_it_out(live_server: Any, alice_client: Client, alice: User) -> None:
    generation = make_generation(alice)
    with browsing(live_server.url, alice_client, viewport={"width": 1280, "height": 1000}) as context:
        page = context.new_page()
        hosts = hosts_asked(page)
        # A document of a hundred operations takes Swagger's script a while on a busy machine.
        page.set_default_timeout(40_000)
        page.goto(reverse("api:docs"))
        page.locator("#operations-tag-feedback").click()
        operation = page.locator("#operations-feedback-feedback_submit")
        operation.click()
        operation.get_by_role("button", name="Try it out").click()
        body = f'{{"generation": "{generation.pk}", "answers": {{"thumb": "up"}}}}'
        operation.locator("textarea").fill(body)
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("201")
        assert Submission.objects.get().values() == {"thumb": "up"}
        assert hosts == {urlsplit(live_server.url).netloc}


def menu_is_beside_the_text(page: Page) -> bool:
    menu, text = (page.locator(each).bounding_box() for each in (".menu-content", ".api-content"))
    return menu is not None and text is not None and menu["x"] + menu["width"] <= text["x"] + 1


def test_redoc_shows_the_api(live_server: Any) -> None:
    with browsing(live_server.url, viewport={"width": 1280, "height": 1000}) as context:
        page = context.new_page()
        hosts = hosts_asked(page)
        page.goto(reverse("api:redoc"))
        expect(page.get_by_role("heading", name="Give or change a judgement")).to_be_visible(timeout=60_000)
        # Its own look is there: the menu stands beside the text.
        eventually(lambda: menu_is_beside_the_text(page), 60, "the menu stands beside the text")
        assert hosts == {urlsplit(live_server.url).netloc}
        # Its badge has no picture of another server, nor the frame of a missing one.
        expect(page.get_by_text("API docs by Redocly")).to_be_visible()
        expect(page.locator("#redoc img").locator("visible=true")).to_have_count(0)


def test_swagger_ui_follows_the_theme(live_server: Any) -> None:
    with browsing(live_server.url, color_scheme="dark") as context:
        page = context.new_page()
        page.set_default_timeout(40_000)
        page.goto(reverse("api:docs"))
        text = page.locator(".swagger-ui .info p").first
        expect(text).to_have_css("color", "rgb(228, 230, 230)", timeout=60_000)
        page.locator('.theme-switch input[value="light"]').check(force=True)
        expect(text).to_have_css("color", "rgb(59, 65, 81)")
        page.locator('.theme-switch input[value="system"]').check(force=True)
        expect(text).to_have_css("color", "rgb(228, 230, 230)")


def test_the_names_of_problems_break_behind_hyphens_alone(live_server: Any) -> None:
    with browsing(live_server.url, viewport={"width": 360, "height": 800}) as context:
        page = context.new_page()
        page.goto(reverse("api:problems"))
        assert page.locator("#forbidden code").evaluate("element => element.getClientRects().length") == 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
