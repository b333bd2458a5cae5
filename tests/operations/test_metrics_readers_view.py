"""`/metrics` answers scrapers that have the token and operators, in one format, and is not there for anybody else."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.test import AsyncClient, Client
from pytest_django import Settings

from portal.accounts.models import User
from tests.conftest import signed_in
from tests.operations.scraper import TOKEN, WITH_TOKEN, parsed, told

pytestmark = pytest.mark.usefixtures("scraper_token", "store_answers", "fresh_limits")


@pytest.mark.parametrize("who", ["alice", "reviewer", "maintainer"])
def test_people_whom_it_does_not_concern_find_nothing(request: pytest.FixtureRequest, who: str) -> None:
    browser = signed_in(request.getfixturevalue(who))
    for method in ("get", "head", "post", "put", "delete", "options"):
        answer = getattr(browser, method)("/metrics")
        assert answer.status_code == 404
        assert b"steelyard_" not in answer.content


@pytest.mark.parametrize("who", ["operator", "superuser"])
def test_an_operators_browser_may_read_it(request: pytest.FixtureRequest, who: str) -> None:
    browser = signed_in(request.getfixturevalue(who))
    answer = browser.get("/metrics")
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (200, "text/plain")
    assert told(parsed(answer.text), "part_up", part="database") == 1
    assert browser.post("/metrics").status_code == 405


def test_an_operator_who_may_not_sign_in_any_more_finds_nothing(operator: User) -> None:
    browser = signed_in(operator)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert browser.get("/metrics").status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {'x' * 100_000}",
        "Bearer \xff\xfe\x00",
        "Bearer ✓",
    ],
)
def test_without_the_token_there_is_nothing_at_the_address(db: None, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    stranger = Client(enforce_csrf_checks=True)
    for answer in (
        stranger.get("/metrics", headers=headers),
        stranger.post("/metrics", headers=headers),
        stranger.get("/metrics", {"token": TOKEN, "access_token": TOKEN}, headers=headers),
    ):
        assert answer.status_code == 404
        assert b"steelyard_" not in answer.content


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer", "bearer  ", ""])
def test_an_installation_without_a_token_has_no_right_one(db: None, settings: Settings, authorization: str) -> None:
    settings.METRICS_TOKEN = ""
    assert Client().get("/metrics", headers={"authorization": authorization}).status_code == 404


@pytest.mark.parametrize("address", ["/metrics/", "/metrics/x", "/Metrics", "/metrics%2f"])
def test_no_address_beside_it_answers(db: None, address: str) -> None:
    assert Client().get(address, headers=WITH_TOKEN).status_code == 404


def test_a_scraper_needs_no_host_https_or_session(db: None, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get("/metrics", headers={**WITH_TOKEN, "host": "10.0.0.7:8000"})
    assert answer.status_code == 200
    assert not answer.cookies
    assert not Session.objects.exists()
    assert Client().get("/metrics").status_code == 301


def test_a_scraper_only_reads(db: None) -> None:
    scraper = Client(headers=WITH_TOKEN)
    assert scraper.head("/metrics").status_code == 200
    answer = scraper.post("/metrics", {"a": "b"})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert Client(headers={"authorization": f"bearer  {TOKEN}"}).get("/metrics").status_code == 200


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2",
        "application/openmetrics-text;version=x",
        "text/plain;version=9999.x;escaping=\x01",
        ",;=,;",
    ],
)
def test_every_scraper_has_the_one_format(db: None, accept: str) -> None:
    answer = Client().get("/metrics", headers={**WITH_TOKEN, "accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert told(parsed(answer.text), "scrape_complete") == 1


def test_it_answers_under_asgi_too(async_client: AsyncClient, db: None) -> None:
    answer = async_to_sync(async_client.get)("/metrics", headers=WITH_TOKEN)
    assert told(parsed(answer.content.decode()), "scrape_complete") == 1
    assert async_to_sync(async_client.get)("/metrics").status_code == 404
