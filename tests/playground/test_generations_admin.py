"""Runs in the admin: for operators, readable, and cheap however many there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.models import Variant
from tests.playground.turns import add_turn, make_conversation

pytestmark = pytest.mark.django_db
LIST = "admin:playground_generation_changelist"


def test_an_operator_finds_a_run_by_its_id_and_cannot_change_it(
    alice: User, operator_client: Client, variant: Variant
) -> None:
    wanted, other = (add_turn(make_conversation(alice), variant) for _ in range(2))
    page = operator_client.get(reverse(LIST), {"q": str(wanted.pk)}).content.decode()
    assert str(wanted.pk) in page
    assert str(other.pk) not in page
    detail = reverse("admin:playground_generation_change", args=[wanted.pk])
    assert b"A balance with two arms." in operator_client.get(detail).content
    assert operator_client.post(detail, {"state": "failed"}).status_code == 403


def test_runs_cannot_be_browsed_by_what_people_wrote(alice: User, operator_client: Client, variant: Variant) -> None:
    run = add_turn(make_conversation(alice), variant, prompt="My secret")
    assert str(run.pk) not in operator_client.get(reverse(LIST), {"q": "secret"}).content.decode()


def test_reviewers_and_maintainers_do_not_see_what_nobody_judged(
    reviewer_client: Client, maintainer_client: Client, alice_client: Client
) -> None:
    assert reviewer_client.get(reverse(LIST)).status_code == 403
    assert maintainer_client.get(reverse(LIST)).status_code == 403
    assert alice_client.get(reverse(LIST)).status_code == 302


def test_the_list_takes_as_many_queries_for_many_runs_as_for_one(
    alice: User, operator_client: Client, variant: Variant
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert operator_client.get(reverse(LIST)).status_code == 200
        return len(captured)

    conversation = make_conversation(alice)
    add_turn(conversation, variant)
    for_one = queries()
    for _ in range(12):
        add_turn(conversation, variant)
    assert queries() == for_one
