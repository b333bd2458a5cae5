"""Rows of an installation where much goes on: runs, judgements, messages, workers."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from portal.accounts.models import User
from portal.catalog.models import Variant
from portal.playground.models import State, WorkerHeartbeat
from portal.reviews.models import QueuePolicy
from portal.webhooks.models import Delivery, Endpoint
from tests.feedback.judgements import judge
from tests.playground.turns import add_turn, make_conversation, make_variant
from tests.reviews.desk import give_verdict, item_of


def heartbeat(worker_id: str = "w", age_s: float = 1, **columns: Any) -> WorkerHeartbeat:
    now = timezone.now()
    columns = {"hostname": "gpu-1", "queues": ["generations", "portal"], "capacity": 16} | columns
    return WorkerHeartbeat.objects.create(
        worker_id=worker_id, started_at=now, seen_at=now - timedelta(seconds=age_s), **columns
    )


def ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def messages_to(owner: User, name: str, count: int, **columns: Any) -> None:
    disabled = columns.pop("disabled", "")
    endpoint = Endpoint.objects.create(
        owner=owner, name=name, url="https://example.org/", nonce="n", secret_digest="d", disabled=disabled
    )
    for number in range(count):
        Delivery.objects.create(
            endpoint=endpoint, message_id=f"{name}-{number}", change_id=number, kind="vote", **columns
        )


def make_busy_rows(alice: User, maintainer: User, reviewer: User) -> list[Variant]:
    """Two variants with runs in every state, judgements under review, messages to deliver, two workers."""
    # No reviewer is drawn for gold beside them.
    QueuePolicy.objects.filter(is_current=True).update(gold_percent=0)
    small, large = make_variant("lab/scales", "small"), make_variant("lab/scales", "large", queue="gpu")
    for variant, queued, succeeded, failed in ((small, 3, 5, 1), (large, 0, 2, 3)):
        for number in range(queued):
            conversation = make_conversation(uuid.uuid4())
            add_turn(conversation, variant, state=State.QUEUED, queued_at=ago(100 * (number + 1)))
        add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING)
        for number in range(succeeded):
            run = add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING, attempt=1)
            usage = {"prompt_tokens": 10 + number, "completion_tokens": 3 * number}
            timings = {"queue_s": 0.2 * number, "first_token_s": 40.0 * number}
            assert run.succeed(finish_reason="stop", usage=usage, timings=timings)
        for number in range(failed):
            run = add_turn(make_conversation(uuid.uuid4()), variant, state=State.RUNNING, attempt=1)
            assert run.fail("upstream" if number else "internal", "It broke.")
    for thumb in ("up", "down", "down"):
        judge(alice, thumb=thumb, comment=f"This answer is {thumb}.")
    give_verdict(reviewer, item_of(judge(alice, thumb="up")), "question")
    messages_to(maintainer, "on", 4, due_at=ago(50))
    messages_to(maintainer, "off", 2, disabled="failing", due_at=ago(5_000))
    messages_to(maintainer, "now", 1, state="sending", lease_expires_at=timezone.now())
    messages_to(maintainer, "done", 3, state="delivered", finished_at=timezone.now())
    heartbeat("living", age_s=2)
    heartbeat("silent", age_s=600, queues=["gpu"])
    return [small, large]
