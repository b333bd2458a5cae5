from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import ApiToken, User
from portal.accounts.services import create_token

URL = "/accounts/tokens/"


def form_data(**changes: object) -> dict[str, object]:
    return {"token_id": str(uuid.uuid4()), "name": "notebook", "scopes": ["read", "submit"], "lifetime": "30"} | changes


def secrets_in(html: str) -> list[str]:
    return re.findall(r"sy_[0-9a-f]{64}", html)


@pytest.fixture
def alices_token(alice: User) -> ApiToken:
    return create_token(alice, name="alice's script", scopes=["read"], lifetime=None)[0]


def test_a_new_token_is_shown_once_and_never_again(alice_client: Client, alice: User) -> None:
    response = alice_client.post(URL, form_data())
    assert response.status_code == 200
    (secret,) = secrets_in(response.content.decode())
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    token = ApiToken.objects.get()
    assert (token.user, token.name, token.scopes) == (alice, "notebook", ["read", "submit"])
    assert timedelta(days=29) < token.expiry - timezone.now() <= timedelta(days=30)
    assert secret not in alice_client.get(URL).content.decode()
    assert not any(secret in str(session.get_decoded()) for session in Session.objects.all())


def test_sending_the_form_again_makes_no_second_token_and_shows_no_secret(alice_client: Client) -> None:
    data = form_data()
    alice_client.post(URL, data)
    response = alice_client.post(URL, data, follow=True)
    assert response.redirect_chain == [(URL, 302)]
    assert "was made before" in response.content.decode()
    assert not secrets_in(response.content.decode())
    assert ApiToken.objects.count() == 1


def test_each_page_offers_a_request_key_of_its_own(alice_client: Client) -> None:
    keys = {alice_client.get(URL).context["form"]["token_id"].value() for _ in range(3)}
    assert len(keys) == 3


def test_a_scope_says_what_it_opens(alice_client: Client, superuser_client: Client) -> None:
    page = alice_client.get(URL).content.decode()
    assert "Read judgements and your own conversations and runs (/api/v1)" in page
    assert "Start runs (/api/v1, /v1/chat/completions), read them, and submit judgements (/api/v1)" in page
    assert "Review judgements" not in page
    assert "Review judgements" in superuser_client.get(URL).content.decode()


def test_a_token_may_never_expire(alice_client: Client) -> None:
    alice_client.post(URL, form_data(lifetime="never"))
    assert ApiToken.objects.get().expiry is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 81),
        ("name", "a\u202eb"),
        ("name", "a\x00b"),
        ("scopes", []),
        ("scopes", ["fly"]),
        ("scopes", ["review"]),
        ("scopes", ["admin"]),
        ("lifetime", "8"),
        ("lifetime", "-1"),
        ("lifetime", ""),
        ("token_id", "1"),
        ("token_id", ""),
    ],
)
def test_bad_input_is_refused_beside_its_field_and_changes_nothing(
    alice_client: Client, field: str, value: object
) -> None:
    response = alice_client.post(URL, form_data(**{field: value}))
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not ApiToken.objects.exists()


def test_an_over_long_name_is_told_its_limit(alice_client: Client) -> None:
    response = alice_client.post(URL, form_data(name="x" * 81))
    assert "80" in response.context["form"].errors["name"][0]


def test_only_scopes_that_the_person_may_grant_are_offered(alice_client: Client, reviewer_client: Client) -> None:
    def offered(client: Client) -> list[str]:
        return [value for value, _ in client.get(URL).context["form"].fields["scopes"].choices]

    assert offered(alice_client) == ["read", "submit", "export"]
    assert offered(reviewer_client) == ["read", "submit", "review", "export"]


def test_the_list_shows_facts_and_neither_digest_nor_others_tokens(
    alice_client: Client, alices_token: ApiToken, bob: User
) -> None:
    create_token(bob, name="bobs-script", scopes=["read"], lifetime=None)
    ApiToken.objects.filter(pk=alices_token.pk).update(
        last_used_at=timezone.now() - timedelta(hours=3), expiry=timezone.now() - timedelta(days=1)
    )
    html = alice_client.get(URL).content.decode()
    assert "alice&#x27;s script" in html
    assert alices_token.hint in html
    assert "expired" in html
    assert "3\xa0hours ago" in html
    assert re.search(r'title="\d{4}-\d\d-\d\d \d\d:\d\d UTC"', html)
    assert "bobs-script" not in html
    assert alices_token.digest not in html


def test_the_list_costs_the_same_for_many_tokens(alice_client: Client, alice: User, django_assert_num_queries) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            alice_client.get(URL)
        return len(captured)

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    create_token(alice, name="first", scopes=["read"], lifetime=None)
    few = queries()
    for number in range(30):
        create_token(alice, name=str(number), scopes=["read", "submit"], lifetime=None)
    assert queries() == few


def test_hostile_names_are_escaped(alice_client: Client) -> None:
    hostile = '<script>alert(1)</script>"><img src=x onerror=y>'
    html = alice_client.post(URL, form_data(name=hostile)).content.decode()
    revoke = reverse("accounts:token-revoke", args=[ApiToken.objects.get().pk])
    pages = [html, alice_client.get(URL).content.decode(), alice_client.get(revoke).content.decode()]
    pages.append(alice_client.post(revoke, follow=True).content.decode())
    for page in pages:
        assert "alert(1)" in page
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page


def test_revoking_asks_once_and_names_the_token(alice_client: Client, alices_token: ApiToken) -> None:
    url = reverse("accounts:token-revoke", args=[alices_token.pk])
    page = alice_client.get(url).content.decode()
    assert "alice&#x27;s script" in page
    assert alices_token.hint in page
    assert ApiToken.objects.exists()
    response = alice_client.post(url, follow=True)
    assert response.redirect_chain == [(URL, 302)]
    assert "alice&#x27;s script" in response.content.decode()
    assert not ApiToken.objects.exists()
    assert alice_client.post(url).status_code == 404


@pytest.mark.parametrize("who", ["bob_client", "operator_client", "superuser_client", "visitor_client", "client"])
def test_nobody_else_sees_or_revokes_a_token(request: pytest.FixtureRequest, alices_token: ApiToken, who: str) -> None:
    other: Client = request.getfixturevalue(who)
    url = reverse("accounts:token-revoke", args=[alices_token.pk])
    assert other.get(url).status_code == 404
    assert other.post(url).status_code == 404
    assert ApiToken.objects.filter(pk=alices_token.pk).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("url", [URL, "/accounts/profile/"])
def test_an_anonymous_visitor_is_asked_to_sign_in(client: Client, url: str) -> None:
    response = client.get(url)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/accounts/login/?next={url}"


def test_other_methods_are_refused(alice_client: Client, alices_token: ApiToken) -> None:
    assert alice_client.put(URL).status_code == 405
    assert alice_client.delete(reverse("accounts:token-revoke", args=[alices_token.pk])).status_code == 405
    assert alice_client.post("/accounts/profile/").status_code == 405


def test_a_forged_post_is_refused(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(URL, form_data()).status_code == 403
    assert not ApiToken.objects.exists()
