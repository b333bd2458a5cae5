"""What contributors and followers are told of a known limitation, on pages and by mail; what contributors are asked."""

from __future__ import annotations

import smtplib
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest import mock

import pytest
from django.core import mail as outbox
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import User
from portal.catalog.event_mails import send_due_mails
from portal.catalog.following import follow_card
from portal.catalog.models import CardEvent
from portal.exports.models import Snapshot, SnapshotRecord
from portal.feedback.models import Submission
from portal.reviews.models import Inquiry, Limitation, NoMail, Notice
from portal.reviews.services.limitations import change_limitation, make_limitation
from portal.reviews.services.notice_mails import no_mail_token, send_due_notices
from tests.conftest import signed_in
from tests.feedback.judgements import judge, make_variant
from tests.reviews.desk import give_verdict, item_of

pytestmark = pytest.mark.django_db


def test_followers_of_the_card_hear_of_a_new_one_once(
    reports: list[Submission], maintainer: User, make_user: Callable[..., User]
) -> None:
    card = make_variant().card
    type(card).objects.filter(pk=card.pk).update(is_published=True)
    for user in (maintainer, make_user("follower")):
        follow_card(card, user)
    limitation = make_limitation(maintainer, card, [str(reports[0].pk)], title="Takes Sydney for the capital")
    change_limitation(maintainer, limitation, 1, state="confirmed")
    event = CardEvent.objects.get(kind="limitation")
    assert (event.title, event.address) == (limitation.title, limitation.get_absolute_url())
    assert send_due_mails() == 1
    assert [message.to for message in outbox.outbox] == [["follower@example.org"]]


def test_contributors_get_one_mail_of_what_waits_and_each_notice_at_most_once(
    limitation: Limitation, maintainer: User, alice: User, bob: User
) -> None:
    change_limitation(maintainer, limitation, 1, state="confirmed")
    assert send_due_notices() == 0  # what is told within the same minutes comes together
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    Notice.objects.filter(owner=bob).first().claim()  # type: ignore[union-attr]  a worker that died midway
    with mock.patch("django.core.mail.EmailMessage.send", side_effect=smtplib.SMTPServerDisconnected("away")):
        assert send_due_notices() == 0
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    assert (send_due_notices(), send_due_notices()) == (2, 0)
    (first, second) = sorted(outbox.outbox, key=lambda message: message.to)
    assert first.to == [alice.email]
    assert "is now a known limitation" in first.body
    assert "is confirmed" in first.body
    assert limitation.get_absolute_url() in first.body
    assert second.body.count(limitation.get_absolute_url()) == 1


def test_what_was_read_is_not_mailed_and_a_mail_ends_such_mails(
    limitation: Limitation, alice: User, bob: User, alice_client: Client, bob_client: Client
) -> None:
    alice_client.get(reverse("reviews:questions"))
    address = reverse("reviews:no_mail", args=[no_mail_token(bob)])
    browser = Client(enforce_csrf_checks=True)
    assert "bob gets mail" in browser.get(address).text
    assert not NoMail.objects.exists()
    assert "bob gets no more mail" in browser.post(address, {"List-Unsubscribe": "One-Click"}).text
    Notice.objects.update(due_at="2020-01-01T00:00:00Z")
    assert send_due_notices() == 0
    assert set(Notice.objects.values_list("state", flat=True)) == {"dropped"}
    for forged in (no_mail_token(bob)[:-2], "x"):
        assert browser.post(reverse("reviews:no_mail", args=[forged])).status_code == 404
    choice = reverse("reviews:mail")
    assert bob_client.get(choice).status_code == 405
    assert Client().post(choice).status_code == 302
    assert "It comes by mail too" in bob_client.post(choice, {"wanted": "yes"}, follow=True).text
    assert not NoMail.objects.exists()
    assert "No more mail of this comes" in bob_client.post(choice, {"wanted": "no"}, follow=True).text
    assert NoMail.objects.get().owner == bob


def test_the_contributions_page_says_what_became_of_each(
    limitation: Limitation,
    reports: list[Submission],
    maintainer: User,
    bob_client: Client,
    django_assert_max_num_queries: Callable[..., AbstractContextManager[CaptureQueriesContext]],
) -> None:
    address = reverse("feedback:contributions")
    snapshot = Snapshot.objects.create(state="succeeded", number=3, title="Third", tables=["submissions"])
    SnapshotRecord.objects.create(snapshot=snapshot, record_id=reports[1].pk, version=1)
    page = bob_client.get(address).text
    assert f'<a href="{limitation.get_absolute_url()}">Part of the known limitation' in page
    assert f'<a href="{snapshot.get_absolute_url()}">In snapshot 3.</a>' in page
    assert "files, which are not changed" in page, "said before one withdraws"
    with CaptureQueriesContext(connection) as before:
        bob_client.get(address)
    variant = make_variant(slug="next")
    change_limitation(maintainer, limitation, 1, state="mitigated", mitigated_in=variant)
    more = make_limitation(maintainer, limitation.card, [str(reports[2].pk)], title="Refuses poems")
    SnapshotRecord.objects.create(snapshot=snapshot, record_id=reports[2].pk, version=1)
    with django_assert_max_num_queries(len(before)):
        page = bob_client.get(address).text
    assert f"mitigated in {variant.model_id}." in page
    assert more.title in page


def test_a_contributor_answers_a_question_and_nobody_else_can(
    alice: User, bob_client: Client, alice_client: Client, reviewer: User, visitor: uuid.UUID, visitor_client: Client
) -> None:
    for owner, client in ((alice, alice_client), (visitor, visitor_client)):
        item = item_of(judge(owner))
        give_verdict(reviewer, item, "question", note="In which sentence?")
        inquiry = Inquiry.objects.get(item=item)
        address = reverse("reviews:answer", args=[inquiry.pk])
        page = client.get(reverse("reviews:questions")).text
        for words in ("In which sentence?", "What is a steelyard?", "What you said", "Good answer"):
            assert words in page
        assert reverse("reviews:questions") in client.get(reverse("feedback:contributions")).text.split("<h2")[1]
        assert "In which sentence?" not in bob_client.get(reverse("reviews:questions")).text
        assert bob_client.post(address, {"answer": "Mine"}).status_code == 404
        assert client.post(address, {"answer": ""}).status_code == 422
        assert client.post(address, {"answer": "In the first."}).status_code == 302
        assert client.post(address, {"answer": "Again."}).status_code == 404
        item.refresh_from_db()
        assert item.state == "waiting"
        assert "In the first." in signed_in(reviewer).get(item.get_absolute_url()).text
