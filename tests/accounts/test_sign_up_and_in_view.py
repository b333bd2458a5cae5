from __future__ import annotations

import re
import threading
from smtplib import SMTPServerDisconnected
from unittest.mock import patch

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import connection
from django.http import HttpRequest
from django.test import Client

from portal.accounts import usernames
from portal.accounts.forms import SignUpForm
from portal.accounts.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def sign_up(client: Client, **changes: str):
    data = {"username": "dora", "email": "dora@example.org", "password1": PASSWORD, "password2": PASSWORD} | changes
    return client.post("/accounts/signup/", data)


def sign_in(client: Client, login: str, password: str = PASSWORD):
    return client.post("/accounts/login/", {"login": login, "password": password})


def signed_in_as(client: Client) -> str | None:
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key).username if key else None


def test_signing_up_makes_a_contributor_and_signs_them_in(client: Client) -> None:
    response = sign_up(client)
    assert (response.status_code, response["Location"]) == (302, "/")
    dora = User.objects.get()
    assert dora.role_names == {"contributor"}
    assert not dora.is_staff
    assert signed_in_as(client) == "dora"
    assert [(address.email, address.verified) for address in EmailAddress.objects.all()] == [
        ("dora@example.org", False)
    ]


@pytest.mark.parametrize(
    "username",
    [
        "a b",
        "über",
        "alice@example.org",
        "-dash",
        "dot.",
        "_",
        "a",
        "x" * 41,
        "<b>",
        "al\u0456ce",
        "a/b",
        "a\u200bb",
        "",
    ],
)
def test_a_username_outside_the_alphabet_or_length_is_refused(client: Client, username: str) -> None:
    response = sign_up(client, username=username)
    assert response.status_code == 200
    assert list(response.context["form"].errors) == ["username"]
    assert not User.objects.exists()


def test_the_limit_of_a_username_is_named(client: Client) -> None:
    assert "40" in sign_up(client, username="x" * 41).context["form"].errors["username"][0]


@pytest.mark.parametrize("username", ["al", "Alice.B-c_9", "0", "x" * 40, "a..b"])
def test_a_username_inside_the_alphabet_is_taken(client: Client, username: str) -> None:
    sign_up(client, username=username)
    assert User.objects.filter(username=username).exists() is (len(username) > 1)


@pytest.mark.parametrize("username", ["admin", "API", "Steelyard", "steel.yard", "A-d-m-i-n", "anonymous", "root"])
def test_a_reserved_username_is_refused_also_in_disguise(client: Client, username: str) -> None:
    assert sign_up(client, username=username).context["form"].errors["username"] == [
        "This username is reserved. Choose another."
    ]


def test_every_reserved_name_is_in_the_form_that_is_compared() -> None:
    assert all(re.fullmatch("[a-z]+", name) for name in usernames.RESERVED)


@pytest.mark.parametrize("username", ["alice", "ALICE", "aLiCe"])
def test_a_username_is_unique_ignoring_case(client: Client, alice: User, username: str) -> None:
    assert "username" in sign_up(client, username=username).context["form"].errors


def test_an_address_is_unique_ignoring_case(client: Client, alice: User) -> None:
    assert "email" in sign_up(client, email="ALICE@Example.org").context["form"].errors


@pytest.mark.parametrize("password", ["short", "password123", "1234567890123", "dora@example.org"])
def test_a_weak_password_is_refused(client: Client, password: str) -> None:
    response = sign_up(client, password1=password, password2=password)
    assert "password1" in response.context["form"].errors
    assert not User.objects.exists()


def test_a_refused_sign_up_gives_back_what_was_typed_and_no_password(client: Client) -> None:
    html = sign_up(client, password2="other").content.decode()
    assert "dora@example.org" in html
    assert PASSWORD not in html


def test_a_hostile_username_is_escaped(client: Client) -> None:
    html = sign_up(client, username='"><script>alert(1)</script>').content.decode()
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.org", "Alice@Example.ORG"])
def test_signing_in_takes_the_username_or_the_address(client: Client, alice: User, login: str) -> None:
    assert sign_in(client, login).status_code == 302
    assert signed_in_as(client) == "alice"


@pytest.mark.parametrize(
    ("login", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("a\x00b", PASSWORD), ("", "")]
)
def test_a_wrong_sign_in_is_refused(client: Client, alice: User, login: str, password: str) -> None:
    response = sign_in(client, login, password)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert signed_in_as(client) is None


def test_an_inactive_account_cannot_sign_in(client: Client, alice: User) -> None:
    User.objects.update(is_active=False)
    assert sign_in(client, "alice")["Location"] == "/accounts/inactive/"
    assert signed_in_as(client) is None


def test_signing_in_does_not_leave_the_portal(client: Client, alice: User) -> None:
    data = {"login": "alice", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/accounts/login/", data)["Location"] == "/"


def test_signing_in_changes_the_session_key(visitor_client: Client, alice: User) -> None:
    before = visitor_client.session.session_key
    sign_in(visitor_client, "alice")
    assert visitor_client.session.session_key != before


def test_signing_out_takes_a_post(alice_client: Client) -> None:
    alice_client.get("/accounts/logout/")
    assert signed_in_as(alice_client) == "alice"
    alice_client.post("/accounts/logout/")
    assert signed_in_as(alice_client) is None


def test_five_wrong_passwords_lock_a_name_for_a_while_and_no_other(client: Client, alice: User, bob: User) -> None:
    for _ in range(5):
        sign_in(client, "alice", "wrong")
    response = sign_in(client, "alice")
    assert "Too many failed login attempts" in response.content.decode()
    assert signed_in_as(client) is None
    assert sign_in(client, "bob").status_code == 302


def test_sign_ups_from_one_network_are_limited(client: Client) -> None:
    assert [sign_up(client, username="").status_code for _ in range(10)] == [200] * 10
    refused = sign_up(client)
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assert "too many attempts from your network" in refused.content.decode()
    assert not User.objects.exists()


def test_mails_to_one_address_are_limited(client: Client, alice: User) -> None:
    for _ in range(3):
        assert client.post("/accounts/password/reset/", {"email": "alice@example.org"}).status_code == 302
    assert client.post("/accounts/password/reset/", {"email": "ALICE@example.org"}).status_code == 429
    assert len(mail.outbox) == 3


def test_password_reset_sends_a_link_that_sets_a_password_once(client: Client, alice: User) -> None:
    client.post("/accounts/password/reset/", {"email": "alice@example.org"})
    (message,) = mail.outbox
    assert message.to == ["alice@example.org"]
    assert message.subject.startswith("[Steelyard] ")
    link = re.search(r"https?://testserver(/accounts/password/reset/key/\S+)", message.body)[1]
    page = client.get(link, follow=True)
    new = {"password1": "entirely new words", "password2": "entirely new words"}
    assert client.post(page.redirect_chain[-1][0], new).status_code == 302
    assert sign_in(client, "alice", "entirely new words").status_code == 302
    assert "token_fail" in Client().get(link).context


def test_password_reset_does_not_tell_who_has_an_account(client: Client, alice: User) -> None:
    known = client.post("/accounts/password/reset/", {"email": "alice@example.org"})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.org"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


def test_confirming_the_address(client: Client) -> None:
    sign_up(client)
    link = re.search(r"https?://testserver(/accounts/confirm-email/\S+)", mail.outbox[0].body)[1]
    assert client.get(link).status_code == 200
    assert not EmailAddress.objects.get().verified
    client.post(link)
    assert EmailAddress.objects.get().verified


def test_where_confirmation_is_mandatory_nobody_is_signed_in_without_it(client: Client, settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    assert sign_up(client)["Location"] == "/accounts/confirm-email/"
    assert signed_in_as(client) is None
    sign_in(client, "dora")
    assert signed_in_as(client) is None
    link = re.search(r"https?://testserver(/accounts/confirm-email/\S+)", mail.outbox[0].body)[1]
    client.post(link)
    sign_in(client, "dora")
    assert signed_in_as(client) == "dora"


@pytest.mark.parametrize("email", ["", "root@example.org"])
def test_where_confirmation_is_mandatory_the_first_superuser_signs_in_all_the_same(
    client: Client, settings, email: str
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    User.objects.create_superuser("root", email, PASSWORD)
    response = client.post("/accounts/login/", {"login": "root", "password": PASSWORD, "next": "/admin/"})
    assert response["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_where_confirmation_is_mandatory_an_account_with_an_address_that_an_operator_made_is_asked_too(
    client: Client, settings, alice: User
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    sign_in(client, "alice")
    assert signed_in_as(client) is None
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]


def test_changing_the_password_ends_the_sessions_at_other_browsers_and_says_so_by_mail(
    alice_client: Client, client: Client, alice: User
) -> None:
    client.force_login(alice)
    new = {"oldpassword": PASSWORD, "password1": "entirely new words", "password2": "entirely new words"}
    alice_client.post("/accounts/password/change/", new)
    assert signed_in_as(alice_client) == "alice"
    assert alice_client.get("/accounts/profile/").status_code == 200
    assert client.get("/accounts/profile/").status_code == 302
    assert mail.outbox[-1].to == ["alice@example.org"]


def test_changing_the_address_asks_for_the_password_first(alice_client: Client, alice: User) -> None:
    response = alice_client.post("/accounts/email/", {"action_add": "", "email": "mallory@example.org"})
    assert response["Location"].startswith("/accounts/reauthenticate/")
    assert not EmailAddress.objects.filter(email="mallory@example.org").exists()


def test_when_the_mail_server_is_away_the_account_is_made_and_the_page_says_so(client: Client) -> None:
    for number, error in enumerate([ConnectionRefusedError("no"), TimeoutError(), SMTPServerDisconnected("gone")]):
        browser = Client()
        with patch("django.core.mail.EmailMessage.send", side_effect=error):
            response = sign_up(browser, username=f"dora{number}", email=f"dora{number}@example.org")
        assert response.status_code == 302
        assert User.objects.filter(username=f"dora{number}").exists()
        messages = browser.get("/accounts/email/", follow=True).content.decode()
        assert "the email was not sent" in messages


@pytest.mark.parametrize(("field", "value"), [("username", "Alice"), ("email", "alice@example.org")])
def test_who_was_a_moment_too_late_is_told_which_field_is_taken(
    client: Client, make_user, field: str, value: str
) -> None:
    """The other's row comes between this one's validation and this one's row."""
    save = SignUpForm.save

    def save_after_the_other(self: SignUpForm, request: HttpRequest) -> User:
        if not User.objects.exists():
            make_user("alice")
        return save(self, request)

    with patch.object(SignUpForm, "save", save_after_the_other):
        response = sign_up(client, **{field: value})
    assert response.status_code == 200
    assert list(response.context["form"].errors) == [field]
    assert signed_in_as(client) is None


@pytest.mark.django_db(transaction=True)
def test_many_sign_ups_with_one_name_make_one_account() -> None:
    barrier = threading.Barrier(4)
    statuses: list[int] = []

    def attempt(number: int) -> None:
        browser = Client(raise_request_exception=False)
        barrier.wait(60)
        statuses.append(sign_up(browser, email=f"dora{number}@example.org").status_code)
        connection.close()

    threads = [threading.Thread(target=attempt, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [200, 200, 200, 302]
    assert User.objects.count() == 1
    assert EmailAddress.objects.count() == 1


def test_a_password_that_is_wrong_in_three_ways_is_three_things(client: Client) -> None:
    page = sign_up(client, password1="123", password2="123").content.decode()
    summary = page.partition("data-error-summary")[2].partition("</ul>")[0]
    assert summary.count("<li>") == 3
    assert "3 things need your attention." in summary
