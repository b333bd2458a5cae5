"""One id per request: taken from a proxy or made, in the answer, in the log."""

from __future__ import annotations

import logging
import re

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from portal.operations.middleware import RequestIdMiddleware
from portal.operations.request_ids import NO_REQUEST, RequestIdFilter, current_request_id

MADE = re.compile(r"[0-9a-f]{16}")


def answer(request: HttpRequest) -> HttpResponse:
    logging.getLogger("tests.request").info("answering")
    return HttpResponse(current_request_id.get())


def ask(**headers: str) -> HttpResponse:
    response = RequestIdMiddleware(answer)(RequestFactory().get("/", headers=headers))
    assert isinstance(response, HttpResponse)
    return response


def test_each_request_gets_an_id_of_its_own() -> None:
    first, second = ask(), ask()
    assert MADE.fullmatch(first["X-Request-ID"])
    assert first["X-Request-ID"] != second["X-Request-ID"]
    assert first.content.decode() == first["X-Request-ID"]


def test_a_proxys_id_is_kept() -> None:
    assert ask(**{"X-Request-ID": "3f2a-PROXY_77"})["X-Request-ID"] == "3f2a-PROXY_77"


@pytest.mark.parametrize(
    "offered", ["", "short", "x" * 65, "<script>alert(1)</script>", "line\nbreak-and-more", "öäüöäüöäü"]
)
def test_an_id_that_could_do_harm_is_replaced(offered: str) -> None:
    request = RequestFactory().get("/")
    request.META["HTTP_X_REQUEST_ID"] = offered
    response = RequestIdMiddleware(answer)(request)
    assert isinstance(response, HttpResponse)
    assert MADE.fullmatch(response["X-Request-ID"])


@pytest.mark.django_db
def test_every_page_carries_it(client: Client) -> None:
    assert MADE.fullmatch(client.get("/accounts/login/")["X-Request-ID"])


@pytest.mark.django_db
def test_every_page_under_asgi_carries_it() -> None:
    response = async_to_sync(AsyncClient().get)("/accounts/login/", headers={"X-Request-ID": "from-the-proxy"})
    assert response["X-Request-ID"] == "from-the-proxy"


def test_a_log_line_names_the_request_that_it_belongs_to() -> None:
    token = current_request_id.set("abcdef0123456789")
    try:
        record = logging.makeLogRecord({"msg": "x"})
        assert RequestIdFilter().filter(record)
        assert record.request_id == "abcdef0123456789"  # type: ignore[attr-defined]
    finally:
        current_request_id.reset(token)


def test_a_log_line_outside_of_requests_has_a_dash() -> None:
    token = current_request_id.set(NO_REQUEST)
    try:
        record = logging.makeLogRecord({"msg": "x"})
        RequestIdFilter().filter(record)
        assert record.request_id == "-"  # type: ignore[attr-defined]
    finally:
        current_request_id.reset(token)
