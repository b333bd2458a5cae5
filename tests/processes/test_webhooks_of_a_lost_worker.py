"""A worker that is killed while it sends a message loses none: another one sends it, under the same id."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.utils import timezone

from portal.accounts.models import User
from portal.webhooks.models import Delivery, DeliveryState
from portal.webhooks.services import make_endpoint
from tests.feedback.judgements import judge
from tests.processes.whole_answers import Start
from tests.services.installation import eventually
from tests.webhooks.receiver import Answer, Received, Receiver

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def test_a_killed_workers_message_arrives_by_another(
    start_worker: Start, maintainer: User, alice: User, settings: Any
) -> None:
    receiver, may_answer = Receiver(), threading.Event()
    settings.WEBHOOK_PRIVATE_HOSTS = [receiver.host]

    def hold(received: Received) -> Answer:
        may_answer.wait()
        return 204, {}, b""

    receiver.answer = hold
    environment = {"WEBHOOK_PRIVATE_HOSTS": receiver.host, "WEBHOOK_TIMEOUT_S": "30"}
    try:
        _endpoint, secret = make_endpoint(maintainer, name="a", url=receiver.url, kinds=["submission"])
        first = start_worker(**environment)
        submission = judge(alice)
        eventually(lambda: bool(receiver.received), 60, "the first message")
        first.kill()
        assert not Delivery.objects.filter(state=DeliveryState.DELIVERED).exists()
        # As time would do it.
        Delivery.objects.filter(state=DeliveryState.SENDING).update(lease_expires_at=timezone.now())
        may_answer.set()
        start_worker(**environment)
        eventually(lambda: not Delivery.objects.exclude(state=DeliveryState.DELIVERED).exists(), 120, "all delivered")
    finally:
        may_answer.set()
        receiver.close()
    lost = receiver.received[0]
    assert sum(each.id == lost.id for each in receiver.received) >= 2
    messages = [each.verified(secret) for each in receiver.received]
    assert {each["data"]["id"] for each in messages} == {str(submission.pk)}
