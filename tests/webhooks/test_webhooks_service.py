"""What moves is told once per endpoint, signed, repeated until it is answered, and given up in the open."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import OperationalError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import WebhookVerificationError

from portal.accounts.actors import Actor
from portal.accounts.models import User
from portal.exports.models import Change, ChangeKind, RecordKind, Snapshot
from portal.feedback.models import Consent, Submission
from portal.feedback.services import revise_feedback
from portal.feedback.withdrawing import withdraw_feedback
from portal.reviews.services.limitations import make_limitation
from portal.webhooks import courier, delivering
from portal.webhooks.delivering import MAX_TRIES, MOST_GIVEN_UP, delay_s, deliver, due, forget_old
from portal.webhooks.fan_out import fan_out
from portal.webhooks.models import Delivery, DeliveryState, Disabled, Endpoint, Reading
from portal.webhooks.services import (
    MAX_ENDPOINTS,
    EndpointDisabled,
    change_endpoint,
    make_endpoint,
    ping,
    redeliver,
    roll_secret,
)
from tests.feedback.judgements import judge
from tests.reviews.desk import give_verdict, item_of
from tests.webhooks.conftest import waiting
from tests.webhooks.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_transaction_is_read")]

ALL = tuple(RecordKind.values)


def made(owner: User, receiver: Receiver, *kinds: str) -> tuple[Endpoint, str]:
    return make_endpoint(owner, name="warehouse", url=receiver.url, kinds=kinds or ALL)


def send_all() -> None:
    fan_out()
    while chosen := list(due(8)):
        for delivery in chosen:
            deliver(delivery)


def test_each_kind_is_told_signed_and_as_an_exporter_sees_it(
    maintainer: User, alice: User, reviewer: User, receiver: Receiver
) -> None:
    judge(alice, comment="Before.")
    _endpoint, secret = made(maintainer, receiver, "submission", "verdict", "limitation", "snapshot")
    submission = judge(alice, comment="Größe")
    give_verdict(reviewer, item_of(submission))
    give_verdict(maintainer, item_of(submission))
    assert submission.card is not None
    make_limitation(maintainer, submission.card, [str(submission.pk)], title="Says ship.")
    snapshot = Snapshot.objects.create(title="A", tables=["kto"], state="running", attempt=1, number=4)
    snapshot.succeed(manifest={"rows": {"kto": 1}, "licences": [], "previous": None})
    send_all()
    told = {each.id: each.verified(secret) for each in receiver.received}
    assert len(told) == len(receiver.received)
    types = [message["type"] for message in told.values()]
    assert {"submission.created", "verdict.created", "limitation.created", "snapshot.created"} == set(types) - {
        "submission.changed"
    }
    by_type = {message["type"]: message["data"] for message in told.values()}
    row = by_type["submission.created"]["row"]
    assert row["answers"]["comment"] == "Größe"
    assert row["contributor"].startswith("c")
    assert by_type["submission.created"]["url"].endswith(f"/api/v1/submissions/{submission.pk}/")
    assert by_type["verdict.created"]["row"]["outcome"] == "accept"
    assert by_type["limitation.created"]["row"]["title"] == "Says ship."
    assert by_type["snapshot.created"]["url"].endswith("/api/v1/snapshots/4/")
    for name in ("alice", "reviewer", "maintainer", "example.org"):
        assert all(name not in each.body.decode() for each in receiver.received)
    fan_out()
    assert waiting() == []


def test_what_nobody_may_read_is_not_told_and_what_was_withdrawn_has_no_words_left(
    maintainer: User, alice: User, receiver: Receiver
) -> None:
    _endpoint, secret = made(maintainer, receiver)
    submission = judge(alice, comment="Words.")
    assert submission.generation is not None
    fan_out()
    withdraw_feedback(Actor(user=alice), submission.generation)
    private = judge(alice)
    Submission.objects.filter(pk=private.pk).update(consent=Consent.REVIEW)
    send_all()
    messages = [each.verified(secret)["data"] for each in receiver.received]
    assert [each["row"] for each in messages] == [None] * len(messages)
    assert "withdrawn" in [each["change"] for each in messages]
    assert all(b"Words." not in each.body for each in receiver.received)


def test_only_chosen_kinds_of_what_moves_while_it_is_on(maintainer: User, alice: User, receiver: Receiver) -> None:
    endpoint, _secret = made(maintainer, receiver, "submission")
    change_endpoint(endpoint, {"enabled": False})
    unheard = judge(alice)
    change_endpoint(endpoint, {"enabled": True})
    submission = judge(alice)
    assert submission.generation is not None
    revise_feedback(Actor(user=alice), submission.generation, {"comment": "Later."})
    fan_out()
    told = {each.record for each in Delivery.objects.all()}
    assert told == {str(submission.pk)}
    assert str(unheard.pk) not in told


def test_a_failed_message_comes_again_later_under_its_own_id(maintainer: User, receiver: Receiver) -> None:
    endpoint, secret = made(maintainer, receiver)
    receiver.answer = lambda _received: (503, {"Retry-After": "600"}, b"busy")
    delivery = ping(endpoint)
    assert not deliver(delivery)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempt) == (DeliveryState.WAITING, 1)
    assert delivery.due_at > timezone.now() + timedelta(seconds=500)
    assert not list(due(8))
    assert not deliver(delivery)  # not before it is due
    Delivery.objects.update(due_at=timezone.now())
    receiver.answer = lambda _received: (200, {}, b"thanks")
    delivery.refresh_from_db()
    assert deliver(delivery)
    assert [each.id for each in receiver.received] == [delivery.message_id] * 2
    assert receiver.received[1].verified(secret) == {
        "type": "ping",
        "timestamp": json.loads(receiver.received[0].body)["timestamp"],
        "data": {"endpoint": str(endpoint.pk)},
    }
    attempts = [(each.number, each.status, each.excerpt) for each in delivery.attempts_made.all()]
    assert attempts == [(2, 200, "thanks"), (1, 503, "busy")]
    endpoint.refresh_from_db()
    assert endpoint.delivered_at is not None


def test_a_lost_sender_is_followed_by_another_and_its_late_word_changes_nothing(
    maintainer: User, receiver: Receiver
) -> None:
    endpoint, _secret = made(maintainer, receiver)
    ping(endpoint)
    [lost] = due(8)
    assert lost.claim(timedelta(seconds=30))
    assert not list(due(8))
    Delivery.objects.update(lease_expires_at=timezone.now())
    [again] = due(8)
    assert deliver(again)
    assert not lost.wait(1)
    assert not lost.give_up()
    again.refresh_from_db()
    assert (again.state, again.attempt) == (DeliveryState.DELIVERED, 2)


def test_after_a_day_a_message_is_given_up_and_after_some_the_endpoint_is_off(
    maintainer: User, receiver: Receiver, alice: User
) -> None:
    endpoint, _secret = made(maintainer, receiver)
    receiver.answer = lambda _received: (500, {}, b"")
    for _ in range(MOST_GIVEN_UP):
        delivery = ping(endpoint)
        Delivery.objects.filter(pk=delivery.pk).update(tries=MAX_TRIES - 1)
        delivery.refresh_from_db()
        deliver(delivery)
        delivery.refresh_from_db()
        assert delivery.state == DeliveryState.GIVEN_UP
    endpoint.refresh_from_db()
    assert endpoint.disabled == "failing"
    with pytest.raises(EndpointDisabled):
        ping(endpoint)
    with pytest.raises(EndpointDisabled):
        redeliver(Delivery.objects.select_related("endpoint").get(pk=delivery.pk))
    change_endpoint(endpoint, {"enabled": True})
    receiver.answer = lambda _received: (204, {}, b"")
    given_up = Delivery.objects.select_related("endpoint").get(pk=delivery.pk)
    assert redeliver(given_up)
    send_all()
    given_up.refresh_from_db()
    assert given_up.state == DeliveryState.DELIVERED
    assert receiver.received[-1].id == given_up.message_id
    endpoint.refresh_from_db()
    assert endpoint.given_up_in_a_row == 0


@given(st.integers(1, MAX_TRIES - 1), st.floats(0, 1))
def test_delays_grow_about_fourfold_to_six_hours_and_last_a_day_in_all(tries: int, chance: float) -> None:
    exact = min(delivering.LONGEST_DELAY_S, 5.0 * 4 ** (tries - 1))
    assert 0.79 * exact <= delay_s(tries, chance) <= 1.21 * exact
    assert 23 * 3600 < sum(delay_s(each, 0.5) for each in range(1, MAX_TRIES)) < 28 * 3600


def test_a_receiver_that_is_gone_for_good_hears_nothing_more(maintainer: User, receiver: Receiver) -> None:
    endpoint, _secret = made(maintainer, receiver)
    receiver.answer = lambda _received: (410, {}, b"")
    deliver(ping(endpoint))
    endpoint.refresh_from_db()
    assert endpoint.disabled == "gone"


def test_an_owner_without_the_role_is_told_nothing(maintainer: User, receiver: Receiver) -> None:
    endpoint, _secret = made(maintainer, receiver)
    delivery = ping(endpoint)
    maintainer.groups.remove(Group.objects.get(name="maintainer"))
    assert not deliver(delivery)
    endpoint.refresh_from_db()
    delivery.refresh_from_db()
    assert (endpoint.disabled, delivery.state, delivery.tries) == ("owner", DeliveryState.WAITING, 0)
    assert not receiver.received


def test_an_old_secret_verifies_for_a_day_and_no_longer(maintainer: User, receiver: Receiver) -> None:
    endpoint, old = made(maintainer, receiver)
    new = roll_secret(endpoint)
    endpoint.refresh_from_db()
    deliver(ping(endpoint))
    assert receiver.received[0].verified(old) == receiver.received[0].verified(new)
    Endpoint.objects.update(old_until=timezone.now())
    deliver(ping(endpoint))
    assert receiver.received[1].verified(new)
    with pytest.raises(WebhookVerificationError):
        receiver.received[1].verified(old)


def test_a_replaced_key_of_the_installation_switches_off_and_says_so(
    maintainer: User, receiver: Receiver, settings: Any
) -> None:
    endpoint, _secret = made(maintainer, receiver)
    settings.SECRET_KEY = "another key of fifty characters or so, for this test"
    delivery = ping(endpoint)
    assert not deliver(delivery)
    endpoint.refresh_from_db()
    assert endpoint.disabled == "secret"
    secret = roll_secret(endpoint)
    delivery.refresh_from_db()
    assert deliver(delivery)
    assert receiver.received[0].verified(secret)


def test_a_replaced_key_that_still_counts_signs_as_before_until_the_secret_is_rolled(
    maintainer: User, receiver: Receiver, settings: Any
) -> None:
    endpoint, old = made(maintainer, receiver)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of fifty characters or so, for this test"
    assert deliver(ping(endpoint))
    assert receiver.received[0].verified(old)
    new = roll_secret(endpoint)
    assert new != old
    endpoint.refresh_from_db()
    assert deliver(ping(endpoint))
    assert receiver.received[1].verified(old) == receiver.received[1].verified(new)
    settings.SECRET_KEY_FALLBACKS = []
    assert deliver(ping(endpoint))
    assert receiver.received[2].verified(new)
    with pytest.raises(WebhookVerificationError):
        receiver.received[2].verified(old)


def test_a_contributor_has_no_webhooks_and_nobody_too_many(alice: User, maintainer: User, receiver: Receiver) -> None:
    with pytest.raises(PermissionDenied):
        made(alice, receiver)
    for _ in range(MAX_ENDPOINTS):
        made(maintainer, receiver)
    with pytest.raises(ValidationError, match="20"):
        made(maintainer, receiver)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a" * 81}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"url": "http://example.org"}, "url"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["card"]}, "kinds"),
    ],
)
def test_what_cannot_be_is_refused_by_field(maintainer: User, values: dict[str, Any], field: str) -> None:
    given = {"name": "warehouse", "url": "https://example.org/", "kinds": ["submission"]} | values
    with pytest.raises(ValidationError) as refused:
        make_endpoint(maintainer, **given)
    assert list(refused.value.message_dict) == [field]
    assert not Endpoint.objects.exists()


def test_the_log_forgets_what_ended_long_ago_and_keeps_what_waits(maintainer: User, receiver: Receiver) -> None:
    endpoint, _secret = made(maintainer, receiver)
    deliver(ping(endpoint))
    kept = ping(endpoint)
    Delivery.objects.exclude(pk=kept.pk).update(finished_at=timezone.now() - timedelta(days=31))
    forget_old(timedelta(days=30))
    assert list(Delivery.objects.all()) == [kept]


def test_what_waits_for_an_endpoint_that_is_off_is_forgotten_too(maintainer: User, receiver: Receiver) -> None:
    endpoint, _secret = made(maintainer, receiver)
    old, young = ping(endpoint), ping(endpoint)
    Delivery.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=31))
    forget_old(timedelta(days=30))
    assert Delivery.objects.count() == 2
    endpoint.disable(Disabled.FAILING)
    forget_old(timedelta(days=30))
    assert list(Delivery.objects.all()) == [young]


def test_a_backlog_of_one_endpoint_does_not_hide_the_others(maintainer: User, receiver: Receiver) -> None:
    busy, _ = made(maintainer, receiver)
    for _ in range(5):
        ping(busy)
    quiet, _ = make_endpoint(maintainer, name="other", url=receiver.url, kinds=ALL)
    ping(quiet)
    assert [each.endpoint_id for each in due(8)] == [busy.pk, quiet.pk]
    assert [each.endpoint_id for each in due(8, {busy.pk})] == [quiet.pk]


def test_after_a_restored_dump_what_moves_is_told_and_nothing_again(
    maintainer: User, alice: User, bob: User, receiver: Receiver
) -> None:
    made(maintainer, receiver)
    judge(alice)
    fan_out()
    told = len(waiting())
    # What a dump brings along are the transactions of another cluster, far ahead of those here.
    Reading.objects.update(transaction_id=2**40)
    Change.objects.order_by().filter(pk=Reading.objects.get().last_id).update(transaction_id=2**40)
    fan_out()
    assert len(waiting()) == told
    judge(bob)
    fan_out()
    assert len(waiting()) > told


def test_after_a_restored_dump_an_unread_change_is_told_whose_transaction_came_after_its_id(
    maintainer: User, receiver: Receiver
) -> None:
    made(maintainer, receiver)
    for _ in range(2):
        Change.note(RecordKind.SUBMISSION, uuid.uuid4(), ChangeKind.CREATED)
    unread, read = Change.objects.order_by("pk")
    Change.objects.filter(pk=read.pk).update(transaction_id=2**40)
    Change.objects.filter(pk=unread.pk).update(transaction_id=2**40 + 5)
    Reading.objects.update_or_create(pk=1, defaults={"transaction_id": 2**40, "last_id": read.pk})
    fan_out()
    assert [each.change_id for each in Delivery.objects.all()] == [unread.pk]
    fan_out()
    assert Delivery.objects.count() == 1


def test_the_first_webhook_begins_behind_the_last_change_that_could_be_told(
    maintainer: User, receiver: Receiver
) -> None:
    for _ in range(2):
        Change.note(RecordKind.SUBMISSION, uuid.uuid4(), ChangeKind.CREATED)
    made(maintainer, receiver)
    last = Change.objects.latest("pk")
    reading = Reading.objects.get()
    # A change that is there is found again after a restore, a number alone would not be.
    assert (reading.transaction_id, reading.last_id) == (last.transaction_id, last.pk)


def test_a_database_that_is_away_is_waited_for_and_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = courier.Courier()

    def fail() -> None:
        ours.end()
        raise OperationalError("couldn't get a connection after 10.00 sec")

    monkeypatch.setattr(courier, "fan_out", fail)
    # The test's own connection is to stay.
    monkeypatch.setattr(courier, "connection", SimpleNamespace(close=lambda: None))
    ours._run()
    [said] = caplog.records
    assert (said.levelname, said.exc_info) == ("WARNING", None)
    assert said.getMessage().startswith("The webhooks wait for the database")
