"""Every page that a link leads to, followed from the front page and the admin's: none breaks, on either database.

`make test` repeats this on PostgreSQL in the place of the tests of single pages, whose words no database changes: each
page sends its queries here once, with rows of every kind in the tables.
"""

from __future__ import annotations

import html
import re
from collections import deque
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import resolve

from portal.accounts.models import User
from portal.feedback.seed import seed_questionnaires
from portal.webhooks.services import make_endpoint
from tests.api.test_judgements_schemathesis import _things as judged_things
from tests.api.test_schemathesis import things
from tests.catalog.shelf import CARD_TEXT, make_card, make_variant
from tests.conftest import signed_in
from tests.feedback.judgements import judge

pytestmark = pytest.mark.django_db

# Files, and the admin's addresses that say where somebody came from.
UNREAD = re.compile(r"^/static/|[?&](_popup|_changelist_filters|_to_field)=")
LINK = re.compile(r'(?:href|hx-get|src)="([^"#]+)')
# Ends the session; streams that do not end; the API's document, which has tests of its own.
LEFT_OUT = {
    *("account_logout", "admin:logout", "playground:events", "arena:battle_events"),
    *("api:generation-events", "api:battle-events", "api:schema"),
}


@pytest.fixture
def inhabited(alice: User, bob: User, reviewer: User, superuser: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation with something of each kind."""
    seed_questionnaires()
    judged_things(superuser, bob, reviewer)
    things(alice, superuser, monkeypatch)
    judge(superuser, thumb="down", helpfulness=2, comment="Names no source.")
    make_variant(make_card("second", text=CARD_TEXT))
    make_endpoint(superuser, name="a", url="https://example.org/", kinds=["submission"])


def links_of(address: str, answer: HttpResponse) -> list[str]:
    """The addresses of this site that a page leads to."""
    if answer.get("Location"):
        found = [answer["Location"]]
    elif "html" in answer.get("Content-Type", "") and not answer.streaming:
        found = [html.unescape(each) for each in LINK.findall(answer.text)]
    else:
        return []
    whole = (urlsplit(urljoin(f"http://testserver{address}", each)) for each in found)
    return [each._replace(scheme="", netloc="").geturl() for each in whole if each.netloc == "testserver"]


def follow(client: Client, *start: str) -> tuple[set[str], list[tuple[str, int]]]:
    """The names of the pages that were read, and the addresses that answered with an error.

    Of addresses with one name two are read, in the admin one, and each that has a parameter which none of them had.
    """
    waiting, known = deque(start), set(start)
    parameters: dict[str, list[set[str]]] = {}
    broken: list[tuple[str, int]] = []
    while waiting:
        address = waiting.popleft()
        parts = urlsplit(address)
        name = resolve(parts.path).view_name
        given = {key for key, _value in parse_qsl(parts.query, keep_blank_values=True)}
        read = parameters.setdefault(name, [])
        enough = 1 if name.startswith("admin:") else 2
        if name in LEFT_OUT or (len(read) >= enough and given <= set().union(*read)):
            continue
        read.append(given)
        answer: Any = client.get(address)
        if answer.status_code >= 400 and answer.status_code != 405:
            broken.append((address, answer.status_code))
        fresh = [each for each in links_of(address, answer) if each not in known and not UNREAD.search(each)]
        known.update(fresh)
        waiting.extend(fresh)
    return set(parameters), broken


@pytest.mark.usefixtures("inhabited")
def test_no_page_that_is_linked_to_breaks(superuser: User, alice: User, settings: Any) -> None:
    settings.API_RATE = "100000/minute"
    read, broken = follow(signed_in(superuser), "/", "/admin/")
    assert broken == []
    assert len(read) > 100, sorted(read)
    read, broken = follow(signed_in(alice), "/")
    assert broken == []
    assert len(read) > 60, sorted(read)
