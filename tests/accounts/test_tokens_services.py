from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone
from knox.crypto import hash_token

from portal.accounts.models import ApiToken, Scope, User
from portal.accounts.roles import Role
from portal.accounts.services import MAX_TOKENS_PER_PERSON, TokenExistsError, create_token, revoke_token


def make(user: User, **changes: object) -> tuple[ApiToken, str]:
    arguments: dict = {"name": "nightly export", "scopes": ["read"], "lifetime": None} | changes
    return create_token(user, **arguments)


def errors_of(call) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        call()
    return getattr(caught.value, "message_dict", None) or {"": caught.value.messages}


def test_only_the_digest_of_a_token_is_kept(alice: User) -> None:
    token, secret = make(alice)
    row = ApiToken.objects.filter(pk=token.pk).values().get()
    assert secret.startswith("sy_")
    assert len(secret) >= 3 + 64
    assert row["digest"] == hash_token(secret)
    assert secret not in str(row)
    assert token.hint == f"{secret[:7]}…"


def test_scopes_are_kept_once_and_in_order(alice: User) -> None:
    token, _ = make(alice, scopes=["export", "read", "export"])
    assert token.scopes == ["read", "export"]


def test_a_lifetime_sets_the_expiry(alice: User) -> None:
    token, _ = make(alice, lifetime=timedelta(days=7))
    assert abs(token.expiry - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    assert not token.is_expired
    forever, _ = make(alice)
    assert forever.expiry is None
    assert not forever.is_expired


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "line\nbreak", "null\x00", "bidi\u202e"])
def test_an_unusable_name_is_refused(alice: User, name: str) -> None:
    assert "80" in errors_of(lambda: make(alice, name=name))["name"][0]
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=3651), timedelta.max])
def test_an_unusable_lifetime_is_refused(alice: User, lifetime: timedelta) -> None:
    assert "3650" in errors_of(lambda: make(alice, lifetime=lifetime))["lifetime"][0]
    assert not ApiToken.objects.exists()


def test_an_unknown_scope_is_named_with_the_known_ones(alice: User) -> None:
    message = errors_of(lambda: make(alice, scopes=["read", "fly"]))["scopes"][0]
    assert "fly" in message
    assert all(scope in message for scope in Scope.values)


def test_a_token_without_a_scope_is_refused(alice: User) -> None:
    assert errors_of(lambda: make(alice, scopes=[]))["scopes"] == ["Choose at least one scope."]


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("alice", {"read", "submit", "export"}),
        ("reviewer", {"read", "submit", "review", "export"}),
        ("maintainer", {"read", "submit", "review", "export", "webhooks", "admin"}),
        ("operator", {"read", "submit", "review", "export", "webhooks", "admin"}),
        ("superuser", set(Scope.values)),
    ],
)
def test_a_role_bounds_what_may_be_granted(request: pytest.FixtureRequest, who: str, allowed: set[str]) -> None:
    user = request.getfixturevalue(who)
    for scope in Scope.values:
        if scope in allowed:
            make(user, scopes=[scope])
        else:
            assert scope in errors_of(lambda scope=scope: make(user, scopes=[scope]))["scopes"][0]


def test_export_needs_a_role(alice: User) -> None:
    alice.groups.clear()
    assert "export" in errors_of(lambda: make(alice, scopes=["export"]))["scopes"][0]


def test_a_token_loses_a_scope_when_its_owner_loses_the_role(reviewer: User) -> None:
    token, _ = make(reviewer, scopes=["read", "review"])
    assert token.allows(Scope.REVIEW)
    assert not token.allows(Scope.ADMIN)
    reviewer.groups.remove(reviewer.groups.get(name=Role.REVIEWER))
    token = ApiToken.objects.get(pk=token.pk)
    assert not token.allows(Scope.REVIEW)
    assert token.allows(Scope.READ)


def test_a_person_has_at_most_fifty_tokens(alice: User, bob: User) -> None:
    for number in range(MAX_TOKENS_PER_PERSON):
        make(alice, name=str(number))
    message = errors_of(lambda: make(alice))[""][0]
    assert "50" in message
    make(bob)
    revoke_token(ApiToken.objects.filter(user=alice).first())
    make(alice)


def test_one_request_sent_twice_makes_one_token(alice: User) -> None:
    token_id = uuid.uuid4()
    token, _ = make(alice, token_id=token_id)
    assert token.pk == token_id
    with pytest.raises(TokenExistsError):
        make(alice, token_id=token_id)
    assert ApiToken.objects.count() == 1


def test_a_revoked_token_is_gone(alice: User) -> None:
    token, _ = make(alice)
    revoke_token(token)
    assert not ApiToken.objects.exists()


def test_use_is_recorded_to_the_minute(alice: User, django_assert_num_queries) -> None:
    token, _ = make(alice)
    with django_assert_num_queries(1):
        token.record_use()
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    with django_assert_num_queries(0):
        token.record_use()
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=first - timedelta(minutes=1))
    token.refresh_from_db()
    token.record_use()
    token.refresh_from_db()
    assert token.last_used_at >= first


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_cannot_pass_the_limit_together(make_user) -> None:
    user = make_user("alice")
    for number in range(MAX_TOKENS_PER_PERSON - 1):
        make(user, name=str(number))
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            barrier.wait(60)
            make(user)
            outcomes.append("made")
        except ValidationError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["made", "refused"]
    assert ApiToken.objects.count() == MAX_TOKENS_PER_PERSON
