"""The frame in a real Chromium: colours, keys, failures in words, phones, and a reader of the screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from portal.accounts.models import User
from portal.accounts.services import create_token
from tests.conftest import signed_in
from tests.services.accessibility import violations_in_both_themes
from tests.services.chromium import chromium
from tests.services.installation import eventually

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ERROR_STATUS = re.compile(r"the server responded with a status of|Response Status Error Code")
PAGES = ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nothing/here/"]


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """What the console complained of; each test ends with none, policy violations included."""
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # An answer with an error status is the test's own doing; Chromium and htmx each say so.
        if message.type in {"error", "warning"} and not ERROR_STATUS.search(message.text):
            heard.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: heard.append(str(error)))
    yield heard
    assert heard == []


@pytest.fixture
def login_page(page: Page, complaints: list[str], live_server: LiveServer) -> Page:
    page.goto(f"{live_server.url}/accounts/login/")
    return page


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize("width", [1280, 320])
def test_a_page_is_accessible_and_fits(page: Page, complaints: list[str], live_server: LiveServer, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in PAGES:
        page.goto(live_server.url + path)
        assert violations_in_both_themes(page) == [], path
        assert not scrolls_sideways(page), path


@pytest.mark.parametrize("name", ["newuser", "twelveletter"])
def test_a_phone_shows_a_name_of_up_to_twelve_letters_whole(
    page: Page, complaints: list[str], live_server: LiveServer, make_user: Callable[..., User], name: str
) -> None:
    session = signed_in(make_user(name)).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/accounts/profile/")
    shown = page.locator(".account-button .truncate")
    expect(shown).to_have_text(name)
    assert shown.evaluate("name => name.scrollWidth <= name.clientWidth")
    assert not scrolls_sideways(page)


def test_a_table_that_scrolls_sideways_shows_that_there_is_more_and_takes_the_arrow_keys(
    page: Page, complaints: list[str], live_server: LiveServer, alice: User
) -> None:
    create_token(alice, name="A notebook on my desk", scopes=["read", "submit"], lifetime=None)
    session = signed_in(alice).cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/accounts/tokens/")
    tokens = page.get_by_role("region", name="Your tokens")
    assert tokens.evaluate("table => table.scrollWidth > table.clientWidth")
    # The covers scroll with the table, the shadows beneath them stay at the edges.
    assert tokens.evaluate("table => getComputedStyle(table).backgroundAttachment").startswith("local, local, scroll")
    tokens.focus()
    page.keyboard.press("ArrowRight")
    eventually(lambda: tokens.evaluate("table => table.scrollLeft") > 0, 30, "the arrow key scrolls the table")


def test_a_chosen_theme_holds_on_the_next_page_until_the_system_decides_again(login_page: Page) -> None:
    root = login_page.locator("html")
    login_page.get_by_role("radio", name="Dark").check()
    expect(root).to_have_attribute("data-theme", "dark")
    ground = login_page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    response = login_page.reload()
    assert response is not None
    assert 'data-theme="dark"' in response.text()
    assert login_page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == ground
    login_page.get_by_role("radio", name="System").check()
    response = login_page.reload()
    assert response is not None
    assert "data-theme" not in response.text()


def test_a_theme_chosen_in_one_tab_reaches_the_other(login_page: Page) -> None:
    other = login_page.context.new_page()
    other.goto(login_page.url)
    login_page.get_by_role("radio", name="Dark").check()
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_question_mark_lists_the_keys_but_not_while_typing(login_page: Page) -> None:
    keys = login_page.get_by_role("dialog", name="Keyboard shortcuts")
    login_page.get_by_label("Password").press("?")
    expect(keys).to_be_hidden()
    login_page.locator("main").press("?")
    expect(keys).to_be_visible()
    login_page.keyboard.press("Escape")
    expect(keys).to_be_hidden()


def test_a_page_lists_and_answers_to_its_own_keys(login_page: Page) -> None:
    login_page.evaluate(
        """() => {
            const button = document.createElement("button");
            button.dataset.shortcut = "Control+Enter";
            button.dataset.shortcutLabel = "Send the prompt";
            button.textContent = "Send";
            button.type = "button";
            button.addEventListener("click", () => { button.textContent = "Sent"; });
            document.querySelector("main").append(button);
        }"""
    )
    login_page.locator("main").press("?")
    expect(login_page.get_by_role("dialog")).to_contain_text("Send the prompt")
    login_page.keyboard.press("Escape")
    login_page.get_by_label("Password").press("Control+Enter")
    expect(login_page.get_by_role("button", name="Sent")).to_be_visible()


def test_a_refused_form_puts_the_reader_before_its_errors(login_page: Page) -> None:
    login_page.locator("main").get_by_role("button", name="Sign in").click()
    summary = login_page.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    summary.get_by_role("link").first.click()
    expect(login_page.locator("input[aria-invalid=true]:focus")).to_have_count(1)


def test_what_htmx_was_refused_is_shown_in_the_servers_words(login_page: Page) -> None:
    login_page.evaluate("htmx.ajax('GET', '/nothing/here/', '#main')")
    notice = login_page.get_by_role("alert")
    expect(notice).to_contain_text("There is nothing at this address")
    notice.get_by_role("button", name="Dismiss this message").click()
    expect(notice).to_have_count(0)


def test_a_failure_that_explains_nothing_is_shown_with_its_number(login_page: Page) -> None:
    login_page.route("**/proxy/", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    login_page.evaluate("htmx.ajax('POST', '/proxy/', '#main')")
    expect(login_page.get_by_role("alert")).to_contain_text("That did not work.")
    expect(login_page.get_by_role("alert")).to_contain_text("502")


def test_a_lost_network_is_told_and_what_was_typed_stays(page: Page, live_server: LiveServer) -> None:
    page.goto(f"{live_server.url}/accounts/login/")  # Chromium itself complains of the lost network
    page.get_by_label("Password").fill("typed already")
    page.route("**/away/", lambda route: route.abort("connectionfailed"))
    for _ in range(2):
        page.evaluate("htmx.ajax('GET', '/away/', '#main').catch(() => {})")
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("The portal could not be reached.")
    expect(page.get_by_label("Password")).to_have_value("typed already")


def test_htmx_sends_the_token_that_guards_forms(login_page: Page) -> None:
    seen: list[str] = []

    def record(route: Route) -> None:
        seen.append(route.request.headers.get("x-csrftoken", ""))
        route.fulfill(status=204)

    login_page.route("**/submit/", record)
    # What it returns is kept once it is answered.
    login_page.evaluate("htmx.ajax('POST', '/submit/', '#main')")
    assert len(seen) == 1
    assert re.fullmatch(r"[A-Za-z0-9]{32,64}", seen[0])


def test_a_range_and_its_number_are_one_value(login_page: Page) -> None:
    login_page.evaluate(
        """() => document.querySelector("main").insertAdjacentHTML("beforeend",
            `<input type="number" id="heat" min="0" max="2" step="0.1" value="1" aria-label="Heat">
             <input type="range" min="0" max="2" step="0.1" value="1" data-mirrors="heat" aria-label="Roughly">`)"""
    )
    number, slider = login_page.get_by_label("Heat", exact=True), login_page.get_by_label("Roughly")
    number.fill("0.4")
    expect(slider).to_have_value("0.4")
    slider.press("ArrowRight")
    expect(number).to_have_value("0.5")


def test_without_javascript_a_phone_can_still_open_the_navigation(live_server: LiveServer) -> None:
    context = chromium().new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(f"{live_server.url}/accounts/login/")
    status = page.get_by_role("navigation", name="Main").get_by_role("link", name="Status")
    expect(status).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(status).to_be_visible()
    # What needs a script is not offered.
    expect(page.locator(".theme-switch")).to_be_hidden()
    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_be_hidden()
    context.close()
