"""The frame around every page: where one can go, who one is, which colours, and nothing that the policy forbids."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from portal import __version__
from portal.operations.context import NAVIGATION

PAGES_FOR_ANYBODY = ["account_login", "account_signup", "account_reset_password", "account_reset_password_done"]
PAGES_FOR_MEMBERS = [
    "account_email",
    "account_change_password",
    "account_logout",
    "accounts:profile",
    "accounts:tokens",
]
INLINE_STYLE = re.compile(r"\sstyle=|<style[\s>]")
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>|\son[a-z]+=", re.IGNORECASE)


def page(client: Client, name: str, **cookies: str) -> str:
    client.cookies.load(cookies)
    response = client.get(reverse(name))
    assert response.status_code == 200, f"{name}: {response.status_code}"
    return response.content.decode()


@pytest.mark.parametrize("name", [name for name, _ in NAVIGATION])
def test_the_navigation_leads_to_pages_that_exist(name: str, alice_client: Client) -> None:
    html = page(alice_client, "account_email")
    assert f'<a href="{reverse(name)}">' in html
    assert alice_client.get(reverse(name)).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["catalog:list", "playground:new", "operations:status"])
def test_the_navigation_says_where_one_is(client: Client, name: str) -> None:
    html = page(client, name)
    assert re.findall(r'<li><a href="([^"]*)" aria-current="true">', html) == [reverse(name)]


@pytest.mark.django_db
@pytest.mark.parametrize("name", PAGES_FOR_ANYBODY)
def test_a_page_has_one_heading_one_main_part_and_a_way_to_skip_to_it(client: Client, name: str) -> None:
    html = page(client, name)
    assert html.count("<h1") == 1
    assert html.count("<main") == 1
    assert '<a class="skip-link" href="#main">' in html
    assert '<html lang="en" dir="ltr"' in html
    assert re.search(r"<title>\s*\S[^<]* · Steelyard</title>", html)


@pytest.mark.django_db
@pytest.mark.parametrize("name", PAGES_FOR_ANYBODY)
def test_a_page_keeps_the_content_security_policy(client: Client, name: str) -> None:
    html = page(client, name)
    assert not INLINE_STYLE.search(html)
    assert not INLINE_SCRIPT.search(html)


@pytest.mark.parametrize("name", PAGES_FOR_MEMBERS)
def test_a_members_page_keeps_the_content_security_policy(alice_client: Client, name: str) -> None:
    html = page(alice_client, name)
    assert not INLINE_STYLE.search(html)
    assert not INLINE_SCRIPT.search(html)
    assert html.count("<h1") == 1


@pytest.mark.django_db
def test_without_a_choice_the_system_decides_on_the_colours(client: Client) -> None:
    html = page(client, "account_login")
    assert "data-theme" not in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert re.search(r'value="system"[^>]* checked', html)


@pytest.mark.django_db
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chosen_theme_is_in_the_first_byte_of_the_page(client: Client, theme: str) -> None:
    html = page(client, "account_login", theme=theme)
    assert f'<html lang="en" dir="ltr" data-theme="{theme}">' in html
    assert f'<meta name="color-scheme" content="{theme}">' in html
    assert re.search(rf'value="{theme}"[^>]* checked', html)


@pytest.mark.django_db
@pytest.mark.parametrize("junk", ["blue", '"><script>', "LIGHT", ""])
def test_a_theme_that_we_do_not_know_is_ignored(client: Client, junk: str) -> None:
    client.cookies["theme"] = junk
    html = client.get(reverse("account_login")).content.decode()
    assert "data-theme" not in html


@pytest.mark.django_db
def test_a_stranger_is_offered_to_sign_in_and_up(client: Client) -> None:
    html = page(client, "account_login")
    assert 'href="/accounts/login/"' in html
    assert 'href="/accounts/signup/"' in html
    assert "account-menu" not in html


def test_a_member_sees_her_name_and_may_leave_by_post_only(alice_client: Client) -> None:
    html = page(alice_client, "account_email")
    assert '<span class="truncate">alice</span>' in html
    assert '<form method="post" action="/accounts/logout/">' in html
    assert 'href="/accounts/logout/"' not in html
    assert f'href="{reverse("admin:index")}"' not in html


def test_staff_find_the_administration(superuser_client: Client) -> None:
    assert f'href="{reverse("admin:index")}"' in page(superuser_client, "account_email")


def test_the_frame_costs_no_query_beyond_knowing_who_is_there(
    alice_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):  # the session, and the user
        alice_client.get("/nothing/here/")


@pytest.mark.django_db
def test_the_frame_costs_a_stranger_no_query(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        client.get("/nothing/here/")


@pytest.mark.django_db
def test_a_stranger_who_only_looks_gets_no_session(client: Client) -> None:
    page(client, "account_login")
    assert settings.SESSION_COOKIE_NAME not in client.cookies


@pytest.mark.django_db
def test_the_foot_of_a_page_names_version_licence_and_request(client: Client) -> None:
    response = client.get(reverse("account_login"))
    foot = response.content.decode().partition("<footer")[2]
    assert __version__ in foot
    assert "Apache-2.0" in foot
    assert response["X-Request-ID"] in foot


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(settings.BASE_DIR) / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


@pytest.mark.parametrize(
    ("level", "look"), [(messages.SUCCESS, "good"), (messages.WARNING, "warn"), (messages.ERROR, "bad")]
)
def test_a_message_is_announced_escaped_and_can_be_put_away(level: int, look: str) -> None:
    html = render_to_string("includes/messages.html", {"messages": [Message(level, "<b>Saved</b>")]})
    assert f"notice--{look}" in html
    assert 'role="status"' in html
    assert "data-dismiss" in html
    assert "&lt;b&gt;Saved&lt;/b&gt;" in html


@pytest.mark.django_db
def test_without_messages_nothing_is_announced(client: Client) -> None:
    assert 'aria-live="polite"></div>' in page(client, "account_login")


def test_a_browser_that_asks_for_the_icon_of_any_page_gets_it(client: Client) -> None:
    response = client.get("/favicon.ico")
    assert (response.status_code, response["Location"]) == (302, "/static/steelyard/favicon-32.png")
    assert finders.find("steelyard/favicon-32.png") is not None
    assert "max-age=86400" in response["Cache-Control"]
