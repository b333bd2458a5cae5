"""Sends one message and writes down how it went: again later, a day long, or given up."""

from __future__ import annotations

import random
import uuid
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from portal.accounts.idle_connections import give_connection_back
from portal.webhooks.access import may_have_webhooks
from portal.webhooks.messages import body_of
from portal.webhooks.models import Attempt, Delivery, DeliveryState, Disabled, Endpoint
from portal.webhooks.sending import Outcome, post
from portal.webhooks.signing import has_its_secret, headers

# 5 s, 20 s, 80 s, … and from then on every six hours: a good day in all.
FIRST_DELAY_S: Final = 5.0
FACTOR: Final = 4.0
LONGEST_DELAY_S: Final = 6 * 3_600.0
MAX_TRIES: Final = 11
JITTER: Final = 0.2
# So many messages given up one after the other, each after a day, switch their endpoint off.
MOST_GIVEN_UP: Final = 5
GONE: Final = 410


def delay_s(tries: int, chance: float) -> float:
    """How long after the failed attempt of this number the next one is made; `chance` is from 0 to 1."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * FACTOR ** (tries - 1)) * (1 - JITTER + 2 * JITTER * chance)


def due(limit: int, busy: Collection[uuid.UUID] = ()) -> Iterable[Delivery]:
    """Messages to send now, to endpoints that are not `busy`, one for each."""
    now = timezone.now()
    ready = Q(state=DeliveryState.WAITING, due_at__lte=now) | Q(state=DeliveryState.SENDING, lease_expires_at__lte=now)
    first = Delivery.objects.filter(ready, endpoint=OuterRef("pk")).order_by("due_at", "id").values("pk")[:1]
    # Endpoint by endpoint, so that a long backlog of one does not hide the others.
    endpoints = Endpoint.objects.filter(disabled="").exclude(pk__in=busy).annotate(first=Subquery(first))
    chosen = list(endpoints.exclude(first=None).values_list("first", flat=True))
    return Delivery.objects.filter(pk__in=chosen).order_by("due_at", "id")[:limit]


def deliver(delivery: Delivery) -> bool:
    """Claim it, send it, write down how it went; whether it arrived."""
    if not delivery.claim(timedelta(seconds=settings.WEBHOOK_TIMEOUT_S * 2)):
        return False
    endpoint = Endpoint.objects.select_related("owner").get(pk=delivery.endpoint_id)
    if why := _why_not(endpoint):
        endpoint.disable(why)
        delivery.release()
        return False
    body = body_of(delivery)
    signed = headers(endpoint, delivery.message_id, timezone.now(), body)
    # A receiver may take its time, and a connection that is kept meanwhile is missing elsewhere.
    give_connection_back()
    outcome = post(endpoint.url, body, signed)
    _write_down(delivery, endpoint, outcome)
    return outcome.is_success


def _why_not(endpoint: Endpoint) -> Disabled | None:
    if not may_have_webhooks(endpoint.owner):
        return Disabled.OWNER
    if not has_its_secret(endpoint):
        return Disabled.SECRET
    return None


def _write_down(delivery: Delivery, endpoint: Endpoint, outcome: Outcome) -> None:
    with transaction.atomic():
        Attempt.objects.create(
            delivery=delivery,
            number=delivery.attempt,
            status=outcome.status,
            error=outcome.error,
            latency_ms=outcome.latency_ms,
            excerpt=outcome.excerpt,
        )
        row = Endpoint.objects.filter(pk=endpoint.pk)
        if outcome.is_success:
            if delivery.deliver():
                row.update(given_up_in_a_row=0, delivered_at=timezone.now())
        elif outcome.status == GONE:
            delivery.give_up()
            endpoint.disable(Disabled.GONE)
        elif delivery.tries < MAX_TRIES:
            # What spreads a crowd needs no secret chance.
            wait_s = delay_s(delivery.tries, random.random())  # noqa: S311
            delivery.wait(max(wait_s, min(outcome.retry_after_s, LONGEST_DELAY_S)))
        elif delivery.give_up():
            row.update(given_up_in_a_row=F("given_up_in_a_row") + 1)
            row.filter(given_up_in_a_row__gte=MOST_GIVEN_UP, disabled="").update(disabled=Disabled.FAILING)


def forget_old(older_than: timedelta) -> int:
    """Delete the messages that ended before then, and those that wait for an endpoint that is off; how many."""
    before = timezone.now() - older_than
    unwanted = Q(state=DeliveryState.WAITING, at__lt=before) & ~Q(endpoint__disabled="")
    return Delivery.objects.filter(Q(finished_at__lt=before) | unwanted).delete()[0]
