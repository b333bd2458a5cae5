from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import ApiToken, User
from portal.accounts.roles import Role
from portal.accounts.services import create_token

PEOPLE = "/admin/accounts/user/"
TOKENS = "/admin/accounts/apitoken/"


def change_url(user: User) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


def change(client: Client, user: User, **changes: object):
    data = {"username": user.username, "email": user.email, "is_active": "on", "groups": []} | changes
    return client.post(change_url(user), data)


def test_the_admin_signs_in_where_wrong_passwords_are_counted(client: Client, alice_client: Client) -> None:
    assert client.get("/admin/login/?next=/admin/")["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    assert client.post("/admin/login/", {"username": "root", "password": "x"}).status_code == 302
    assert alice_client.get("/admin/login/").status_code == 403


@pytest.mark.parametrize("who", ["alice_client", "reviewer_client", "maintainer_client"])
def test_only_operators_see_people_and_tokens(request: pytest.FixtureRequest, who: str) -> None:
    client = request.getfixturevalue(who)
    for url in (PEOPLE, TOKENS):
        assert client.get(url).status_code in {302, 403}


def test_people_are_searched_and_filtered_by_role(operator_client: Client, alice: User, reviewer: User) -> None:
    def found(query: str) -> set[str]:
        return {user.username for user in operator_client.get(PEOPLE + query).context["cl"].result_list}

    assert found("?q=alice") == {"alice"}
    assert found("?q=reviewer@example.org") == {"reviewer"}
    assert found("?role=reviewer") == {"reviewer"}
    assert found("?role=contributor") == {"alice", "operator", "reviewer"}
    assert found("?role=nonsense") == set()


def test_the_list_of_people_costs_the_same_for_many(operator_client: Client, make_user) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert operator_client.get(PEOPLE).status_code == 200
        return len(captured)

    make_user("first", Role.REVIEWER)
    few = queries()
    for number in range(10):
        make_user(f"more{number}", Role.REVIEWER)
    assert queries() == few


def test_an_operator_gives_and_takes_a_role_and_the_admin_opens_and_closes(
    operator_client: Client, alice: User
) -> None:
    reviewers = Group.objects.get(name=Role.REVIEWER.value)
    contributors = Group.objects.get(name=Role.CONTRIBUTOR.value)
    assert change(operator_client, alice, groups=[contributors.pk, reviewers.pk]).status_code == 302
    alice = User.objects.get(pk=alice.pk)
    assert alice.has_role(Role.REVIEWER)
    assert alice.is_staff
    assert change(operator_client, alice, groups=[contributors.pk]).status_code == 302
    assert not User.objects.get(pk=alice.pk).is_staff


def test_an_operator_cannot_make_a_superuser_or_give_single_rights(
    operator_client: Client, operator: User, alice: User
) -> None:
    for target in (alice, operator):
        change(operator_client, target, is_superuser="on", is_staff="on", user_permissions=["1"])
        target.refresh_from_db()
        assert not target.is_superuser
        assert not target.user_permissions.exists()


def test_an_operator_cannot_touch_a_superuser(operator_client: Client, superuser: User) -> None:
    assert change(operator_client, superuser, username="taken").status_code == 403
    assert operator_client.post(change_url(superuser).replace("change", "delete"), {"post": "yes"}).status_code == 403
    password_url = reverse("admin:auth_user_password_change", args=[superuser.pk])
    new = {"password1": "entirely new words", "password2": "entirely new words", "usable_password": "true"}
    assert operator_client.post(password_url, new).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [superuser.pk], "post": "yes"}
    operator_client.post(PEOPLE, data)
    again = User.objects.get(pk=superuser.pk)
    assert (again.username, again.password) == (superuser.username, superuser.password)


def test_a_superuser_makes_another_and_takes_it_back(superuser_client: Client, alice: User) -> None:
    change(superuser_client, alice, is_superuser="on")
    assert User.objects.get(pk=alice.pk).is_superuser
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    change(superuser_client, alice)
    again = User.objects.get(pk=alice.pk)
    assert (again.is_superuser, again.is_staff) == (False, False)


def test_an_operator_adds_a_person(operator_client: Client) -> None:
    data = {
        "username": "dora",
        "email": "dora@example.org",
        "usable_password": "true",
        "password1": "entirely new words",
        "password2": "entirely new words",
    }
    assert operator_client.post(PEOPLE + "add/", data).status_code == 302
    assert User.objects.get(username="dora").role_names == {"contributor"}
    repeated = operator_client.post(PEOPLE + "add/", data | {"username": "Dora"})
    assert repeated.status_code == 200
    assert "already" in repeated.content.decode()


def test_tokens_are_listed_without_their_digest_and_cannot_be_changed(
    operator_client: Client, alice: User, django_assert_max_num_queries
) -> None:
    token, secret = create_token(alice, name="<script>alert(1)</script>", scopes=["read"], lifetime=None)
    token_url = reverse("admin:accounts_apitoken_change", args=[token.pk])
    for url in (TOKENS, TOKENS + "?q=alice", token_url):
        html = operator_client.get(url).content.decode()
        assert "&lt;script&gt;alert(1)" in html
        for hidden in (token.digest, token.token_key, secret, "<script>alert(1)"):
            assert hidden not in html
    assert operator_client.get(TOKENS + "add/").status_code == 403
    assert operator_client.post(token_url, {"name": "other"}).status_code == 403
    assert operator_client.post(token_url.replace("change", "delete"), {"post": "yes"}).status_code == 302
    assert not ApiToken.objects.exists()
