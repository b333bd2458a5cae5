"""Following a card: one event for what happened once, one mail at most per person, feeds, and a link that ends it."""

from __future__ import annotations

import smtplib
import threading
import xml.etree.ElementTree as ET
from unittest import mock

import pytest
from django.core import mail as outbox
from django.db import connection
from django.test import Client

from portal.accounts.models import User
from portal.catalog import mailing
from portal.catalog.event_mails import send_due_mails
from portal.catalog.following import (
    follow_card,
    one_line,
    record_card_event,
    unfollow_card,
    unsubscribe_token,
)
from portal.catalog.following_models import MAX_MAIL_ATTEMPTS
from portal.catalog.models import CardEvent, EventKind, EventMail, Follow, MailState, ModelCard
from portal.catalog.services import publish_revision
from tests.catalog.shelf import make_card, make_variant
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def card() -> ModelCard:
    return make_card()


def told(card: ModelCard, key: str = "k") -> CardEvent | None:
    return record_card_event(card, EventKind.LIMITATION, key, title="Miscounts letters", address="/limits/1/")


def test_a_new_text_a_variant_and_a_limitation_are_told_once(card: ModelCard, alice: User) -> None:
    follow_card(card, alice)
    publish_revision(card, "# New\n", None, "Clearer")
    variant = make_variant(card)
    variant.save()
    assert told(card)
    assert told(card) is None
    assert list(card.events.order_by("pk").values_list("kind", "title"))[1:] == [
        ("revision", "Revision 2: Clearer"),
        ("variant", "New variant bf16"),
        ("limitation", "Miscounts letters"),
    ]
    assert send_due_mails() == 3
    assert send_due_mails() == 0
    assert [message.to for message in outbox.outbox] == [["alice@example.org"]] * 3
    first_lines = [message.body.splitlines()[0] for message in outbox.outbox]
    assert first_lines == ["New text: Revision 2: Clearer", "New variant bf16", "Known limitation: Miscounts letters"]


def test_who_published_is_not_told_and_who_has_no_address_cannot_be(card: ModelCard, alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(email="")
    for user in (alice, bob):
        follow_card(card, user)
    publish_revision(card, "# New\n", alice)
    assert not EventMail.objects.exists()


def test_the_mail_names_the_event_and_ends_with_one_click(
    card: ModelCard, alice: User, settings: object, client: Client
) -> None:
    settings.SITE_URL = "https://steelyard.example.org"  # type: ignore[attr-defined]
    follow_card(card, alice)
    told(card)
    send_due_mails()
    (message,) = outbox.outbox
    assert message.subject == "[Steelyard] Tiny model: Miscounts letters"
    assert "https://steelyard.example.org/limits/1/" in message.body
    link = message.extra_headers["List-Unsubscribe"].strip("<>")
    assert message.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in message.body
    path = link.removeprefix("https://steelyard.example.org")
    assert "alice follows Tiny model" in client.get(path).content.decode()
    assert Follow.objects.exists()
    browser = Client(enforce_csrf_checks=True)
    assert "no longer follows" in browser.post(path, {"List-Unsubscribe": "One-Click"}).content.decode()
    assert not Follow.objects.exists()


def test_a_link_that_we_did_not_make_is_none(client: Client, card: ModelCard, alice: User) -> None:
    token = unsubscribe_token(card, alice)
    assert client.put(f"/unsubscribe/{token}/").status_code == 405
    for address in (token[:-1] + ("A" if token[-1] != "A" else "B"), "x", "WzEsMV0:1:x"):
        assert client.post(f"/unsubscribe/{address}/").status_code == 404
    alice.delete()
    assert client.post(f"/unsubscribe/{token}/").status_code == 404


def test_nothing_is_sent_to_who_left_or_about_a_hidden_card(card: ModelCard, alice: User, bob: User) -> None:
    for user in (alice, bob):
        follow_card(card, user)
    told(card)
    unfollow_card(card, alice)
    send_due_mails()
    ModelCard.objects.update(is_published=False)
    told(ModelCard.objects.get(), "later")
    send_due_mails()
    assert [message.to for message in outbox.outbox] == [["bob@example.org"]]
    assert sorted(EventMail.objects.values_list("state", flat=True)) == ["dropped", "dropped", "sent"]


def test_a_refusing_server_is_asked_again_later_and_not_for_ever(card: ModelCard, alice: User) -> None:
    follow_card(card, alice)
    told(card)
    with mock.patch("django.core.mail.EmailMessage.send", side_effect=smtplib.SMTPServerDisconnected("away")):
        for attempt in range(1, MAX_MAIL_ATTEMPTS + 1):
            send_due_mails()
            assert send_due_mails() == 0  # not due again yet
            assert EventMail.objects.get().attempts == attempt
            EventMail.objects.update(due_at="2020-01-01T00:00:00Z")
    assert EventMail.objects.get().state == MailState.DROPPED
    send_due_mails()
    assert outbox.outbox == []


def test_a_mail_that_a_worker_left_in_the_middle_is_not_sent_twice(card: ModelCard, alice: User) -> None:
    follow_card(card, alice)
    told(card)
    assert EventMail.objects.get().claim()
    assert not EventMail.objects.get().claim()
    assert send_due_mails() == 0


@pytest.mark.django_db(transaction=True)
def test_many_workers_send_each_mail_once(card: ModelCard, alice: User, bob: User) -> None:
    for user in (alice, bob):
        follow_card(card, user)
    with mock.patch.object(mailing, "publish"):
        for number in range(5):
            told(card, str(number))

    def work() -> None:
        send_due_mails()
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(outbox.outbox) == 10
    assert set(EventMail.objects.values_list("state", "attempts")) == {("sent", 1)}


def test_titles_hold_nothing_that_a_header_or_a_feed_cannot() -> None:
    assert one_line("a\r\nBcc: x\x00\x0b\u2028b  c") == "a Bcc: x b c"
    assert len(one_line("x" * 1000)) == 300


def entries(client: Client, address: str) -> list[str]:
    response = client.get(address)
    assert response["Content-Type"].startswith("application/atom+xml")
    feed = ET.fromstring(response.content)
    # What RFC 4287 wants of every feed.
    for part in ("id", "title", "updated", "author"):
        assert feed.find(ATOM + part) is not None
    return [entry.findtext(f"{ATOM}title") or "" for entry in feed.iter(f"{ATOM}entry")]


def test_feeds_tell_of_published_cards(client: Client, card: ModelCard, maintainer_client: Client) -> None:
    publish_revision(card, "# New <b>\n", None, "Now with <b>")
    hidden = make_card("hidden", title="Hidden", is_published=False)
    assert entries(client, card.get_absolute_url() + "feed.atom") == [
        "Tiny model: Revision 2: Now with <b>",
        "Tiny model: Revision 1",
    ]
    assert len(entries(client, "/feed.atom")) == 2
    assert client.get(hidden.get_absolute_url() + "feed.atom").status_code == 404
    assert len(entries(maintainer_client, hidden.get_absolute_url() + "feed.atom")) == 1
    assert client.post("/feed.atom").status_code == 405
    feed = client.get(card.get_absolute_url() + "feed.atom").content.decode()
    assert f'href="http://testserver{card.get_absolute_url()}revisions/2/"' in feed


def test_following_by_the_page_is_ones_own(
    client: Client, alice_client: Client, bob: User, alice: User, card: ModelCard
) -> None:
    address = card.get_absolute_url() + "follow/"
    assert client.post(address, {"action": "follow"}).headers["Location"].startswith("/accounts/login/")
    assert alice_client.get(address).status_code == 405
    alice_client.post(address, {"action": "follow"})
    alice_client.post(address, {"action": "follow"})
    assert Follow.objects.get().user == alice
    assert "Unfollow" in alice_client.get(card.get_absolute_url()).content.decode()
    assert "Tiny model" in alice_client.get("/following/").content.decode()
    assert "You follow no card" in signed_in(bob).get("/following/").content.decode()
    assert client.get("/following/").status_code == 302
    signed_in(bob).post(address, {"action": "unfollow"})
    assert Follow.objects.count() == 1
    alice_client.post(address, {"action": "unfollow", "from": "list"})
    assert not Follow.objects.exists()
    ModelCard.objects.update(is_published=False)
    assert alice_client.post(address, {"action": "follow"}).status_code == 404
