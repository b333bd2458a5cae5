"""The page of what somebody gave: theirs alone, paginated, a constant number of queries."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.feedback.contribution_views import CONTRIBUTIONS_PER_PAGE
from portal.feedback.withdrawing import withdraw_feedback
from tests.feedback.judgements import judge, make_generation

pytestmark = pytest.mark.django_db
URL = reverse("feedback:contributions")


def test_a_judgement_is_shown_in_words_with_its_conversation_and_state(alice_client: Client, alice: User) -> None:
    submission = judge(alice, helpfulness=2, reasons_up=["clear"], comment="Short & <good>")
    page = alice_client.get(URL).content.decode()
    for part in (
        "Good answer",
        "2 / 5",
        "Clear and well written",
        "Short &amp; &lt;good&gt;",
        "In the review database",
        "last saved: <time",
        ">just now</time>",
    ):
        assert part in page
    assert submission.generation.get_absolute_url() in page


def test_a_withdrawn_judgement_is_listed_as_withdrawn(alice_client: Client, alice: User) -> None:
    submission = judge(alice, comment="Gone.")
    withdraw_feedback(Actor(user=alice), submission.generation)
    page = alice_client.get(URL).content.decode()
    assert "Withdrawn" in page
    assert "Gone." not in page


def test_everybody_sees_their_own_alone(
    alice: User, visitor: uuid.UUID, alice_client: Client, bob_client: Client, visitor_client: Client, client: Client
) -> None:
    judge(alice, make_generation(alice, prompt="The prompt of alice"))
    judge(visitor, make_generation(visitor, prompt="The prompt of a visitor"))
    assert "The prompt of alice" in alice_client.get(URL).content.decode()
    assert "The prompt of a visitor" in visitor_client.get(URL).content.decode()
    for other in (bob_client, visitor_client, client):
        assert "The prompt of alice" not in other.get(URL).content.decode()
    for other in (alice_client, bob_client, client):
        assert "The prompt of a visitor" not in other.get(URL).content.decode()


def test_nothing_yet_says_what_to_do_and_sets_no_cookie(client: Client) -> None:
    response = client.get(URL)
    assert "Nothing yet" in response.content.decode()
    assert not response.cookies.get("sessionid")


def test_pages_take_the_same_queries_however_full(alice_client: Client, alice: User) -> None:
    judge(alice)
    with CaptureQueriesContext(connection) as one:
        alice_client.get(URL)
    for number in range(CONTRIBUTIONS_PER_PAGE):
        judge(alice, make_generation(alice, prompt=f"Prompt {number}"), comment="Yes.")
    with CaptureQueriesContext(connection) as many:
        first = alice_client.get(URL)
    assert len(many) == len(one)
    assert first.context["page"].paginator.num_pages == 2
    for page in ("2", "99", "x", "-1"):
        assert alice_client.get(URL, {"page": page}).status_code == 200


def test_one_is_found_on_whichever_page_it_stands_by_its_own_contributor_alone(
    alice_client: Client, bob_client: Client, client: Client, alice: User
) -> None:
    oldest = judge(alice)
    for number in range(CONTRIBUTIONS_PER_PAGE):
        newest = judge(alice, make_generation(alice, prompt=f"Prompt {number}"))
    for submission, place in ((newest, ""), (oldest, "?page=2")):
        found = alice_client.get(reverse("feedback:contribution", args=[submission.pk]))
        assert found["Location"] == f"{URL}{place}#contribution-{submission.pk}"
        assert f'id="contribution-{submission.pk}"' in alice_client.get(found["Location"]).text
    address = reverse("feedback:contribution", args=[oldest.pk])
    assert bob_client.get(address).status_code == 404
    assert client.get(address)["Location"] == f"{reverse('account_login')}?next={address}", "mails lead here"
