"""Every failure is told to the person: what happened, what it means, what to do, and a number to quote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings

pytestmark = pytest.mark.urls("tests.operations.failing_urls")

# What only that page may say in its row "What it means".
MEANINGS = {
    400: "sent again as it is, it is refused again",
    403: "without that role",
    429: "This request was not carried out.",
    500: "may not have been done",
    503: "may not have been done",
}
EVERY_FAILURE = [
    ("malformed", 400, "The request was not understood"),
    ("denied", 403, "You may not do this"),
    ("limited", 429, "That was too much at once"),
    ("broken", 500, "Something broke on our side"),
    ("database-away", 503, "The portal is not ready at this moment"),
    ("store-away", 503, "The portal is not ready at this moment"),
    ("store-frozen", 503, "The portal is not ready at this moment"),
    ("broker-away", 503, "The portal is not ready at this moment"),
]


@pytest.fixture
def browser() -> Client:
    """Shows the page of a failure rather than the failure, as a server does."""
    return Client(raise_request_exception=False, headers={"Accept": "text/html,*/*;q=0.8"})


def raising(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that meets a database which is away, before any view."""

    def middleware(request: HttpRequest) -> HttpResponse:
        raise OperationalError("secret-detail")

    return middleware


@pytest.mark.django_db
@pytest.mark.parametrize(("failure", "status", "title"), EVERY_FAILURE)
def test_each_failure_has_a_page_that_explains_it(browser: Client, failure: str, status: int, title: str) -> None:
    response = browser.get(f"/fail/{failure}/")
    page = response.content.decode()
    assert response.status_code == status
    assert response["Content-Type"].startswith("text/html")
    assert page.count("<h1>") == 1
    assert f"<h1>{title}</h1>" in page
    assert f"<dt>What it means</dt><dd>{response.context['error'].meaning}</dd>" in page
    assert MEANINGS[status] in page
    assert "What to do" in page
    assert response["X-Request-ID"] in page
    assert response["Cache-Control"] == "no-store"
    assert "secret-detail" not in page
    assert "Traceback" not in page


@pytest.mark.django_db
@pytest.mark.parametrize(("failure", "status", "title"), EVERY_FAILURE)
def test_an_async_view_fails_into_the_same_pages(failure: str, status: int, title: str) -> None:
    browser = AsyncClient(raise_request_exception=False, headers={"Accept": "text/html"})
    response = async_to_sync(browser.get)(f"/fail-async/{failure}/")
    assert response.status_code == status
    assert f"<h1>{title}</h1>" in response.content.decode()
    assert response["X-Request-ID"] in response.content.decode()


@pytest.mark.parametrize("failure", ["broken", "database-away"])
def test_the_pages_of_last_resort_touch_neither_session_nor_database(browser: Client, failure: str) -> None:
    browser.cookies[settings.SESSION_COOKIE_NAME] = "somebodys-session"
    browser.cookies["theme"] = "dark"
    response = browser.get(f"/fail/{failure}/")  # pytest-django forbids the database here
    assert response.status_code in {500, 503}
    assert 'data-theme="dark"' in response.content.decode()


def test_a_database_away_before_any_view_is_503_and_not_a_bug(browser: Client) -> None:
    chain = [*settings.MIDDLEWARE[:1], "tests.operations.test_error_pages_view.raising"]
    with override_settings(MIDDLEWARE=chain):
        response = browser.get("/")
    assert response.status_code == 503
    assert response["Retry-After"] == "5"


def test_an_absent_service_says_when_to_come_back_and_is_logged_with_its_cause(
    browser: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = browser.get("/fail/store-away/")
    assert response["Retry-After"] == "5"
    record = next(each for each in caplog.records if each.name == "portal.operations.middleware")
    assert record.exc_info is not None
    assert "secret-detail" in str(record.exc_info[1])


@pytest.mark.django_db
def test_a_limit_says_its_own_sentence_and_when_to_come_back(browser: Client) -> None:
    response = browser.get("/fail/limited/")
    page = response.content.decode()
    assert response["Retry-After"] == "12"
    assert "That is more than 30 per minute." in page
    assert "Wait 12 seconds, then try again." in page
    assert 'href="/fail/limited/"' in page


def test_htmx_gets_a_notice_instead_of_a_page(browser: Client) -> None:
    response = browser.post("/fail/limited/", headers={"HX-Request": "true"})
    notice = response.content.decode()
    assert response.status_code == 429
    assert response["Retry-After"] == "12"
    assert "data-error-notice" in notice
    assert 'role="alert"' in notice
    assert "That is more than 30 per minute." in notice
    assert response["X-Request-ID"] in notice
    assert "<html" not in notice


@pytest.mark.parametrize(("path", "accept"), [("/api/v1/fail/{}/", "*/*"), ("/fail/{}/", "application/json")])
@pytest.mark.parametrize(("failure", "status", "title"), EVERY_FAILURE)
def test_programs_get_a_problem_document(path: str, accept: str, failure: str, status: int, title: str) -> None:
    program = Client(raise_request_exception=False, headers={"Accept": accept})
    response = program.get(path.format(failure))
    problem: dict[str, Any] = response.json()
    assert response.status_code == problem["status"] == status
    assert response["Content-Type"] == "application/problem+json"
    assert problem["request_id"] == response["X-Request-ID"]
    assert "secret-detail" not in response.content.decode()


@pytest.mark.django_db
def test_an_unknown_address_offers_an_anonymous_visitor_to_sign_in_and_come_back(browser: Client) -> None:
    response = browser.get("/nothing/here/?a=1&b=<script>")
    page = response.content.decode()
    assert response.status_code == 404
    assert "There is nothing at this address" in page
    assert "There is nothing here, or it is not yours to see" in page
    assert "/accounts/login/?next=/nothing/here/%3Fa%3D1%26b%3D%253Cscript%253E" in page
    assert "b=<script>" not in page


def test_an_unknown_address_asks_nobody_who_is_signed_in_to_sign_in(alice_client: Client) -> None:
    response = alice_client.get("/nothing/here/")
    assert response.status_code == 404
    assert "?next=" not in response.content.decode()


@pytest.mark.django_db
def test_a_form_without_its_token_is_refused_in_words() -> None:
    browser = Client(enforce_csrf_checks=True)
    response = browser.post("/accounts/login/", {"login": "alice", "password": "x"})
    assert response.status_code == 403
    page = response.content.decode()
    assert "The form could not be verified" in page
    assert "nothing of it was saved" in page
    assert "Go back, reload the page" in page


@pytest.mark.django_db
def test_a_form_refused_in_place_does_not_send_back_somebody_who_is_still_on_the_page() -> None:
    browser = Client(enforce_csrf_checks=True)
    response = browser.post("/accounts/login/", {"login": "alice"}, headers={"HX-Request": "true"})
    notice = response.content.decode()
    assert response.status_code == 403
    assert "What you typed is still here" in notice
    assert "Go back" not in notice


@pytest.mark.django_db
def test_a_body_beyond_the_limit_is_refused_by_the_limits_name(browser: Client) -> None:
    too_much = "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    response = browser.post("/read-body/", too_much, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 413
    assert "larger than 1.0\xa0MB" in response.content.decode()


@pytest.mark.django_db
def test_more_fields_than_the_limit_are_refused_by_the_limits_name(browser: Client) -> None:
    fields = "&".join(f"f{number}=1" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1))
    response = browser.post("/read-body/", fields, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400
    assert "more fields than 1000" in response.content.decode()


@pytest.mark.django_db
def test_a_forbidden_host_is_a_400_page(browser: Client) -> None:
    response = browser.get("/", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert "The request was not understood" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "address", "allowed", "words"),
    [
        ("get", "/take-form/", "POST", "is no page of its own"),
        ("post", "/show-async/", "GET, HEAD", "takes nothing that is sent to it (POST)"),
        ("post", "/", "GET, HEAD", "takes nothing that is sent to it (POST)"),
    ],
)
def test_a_method_that_an_address_does_not_take_is_told_with_those_it_takes(
    browser: Client, method: str, address: str, allowed: str, words: str
) -> None:
    response = getattr(browser, method)(address)
    page = response.content.decode()
    assert (response.status_code, response["Allow"]) == (405, allowed)
    assert "<h1>This address is not asked this way</h1>" in page
    assert words in page
    assert "use its buttons and links" in page
    told = getattr(browser, method)(address, headers={"Accept": "application/json"})
    assert (told.status_code, told["Allow"], told["Content-Type"]) == (405, allowed, "application/problem+json")


def test_an_async_view_tells_a_wrong_method_too() -> None:
    response = async_to_sync(AsyncClient().post)("/show-async/", headers={"Accept": "application/json"})
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert "takes nothing that is sent to it" in response.json()["detail"]
