"""Makes messages of what moved: reads the changes from a place of its own, so that none is missed or doubled."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import transaction

from portal.exports.change_feed import Place, changes_behind, found_again, place_now, settle_after_a_restore
from portal.webhooks.models import Delivery, Endpoint, Reading

BATCH: Final = 500
_ONLY: Final = 1


def new_message_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


def fan_out() -> int:
    """Make a message of every change for every endpoint that wants it; how many were made."""
    made = 0
    while Endpoint.objects.filter(disabled="").exists():
        read, told = _read_some()
        made += told
        if read < BATCH:
            break
    return made


def begin_now() -> None:
    """Pass over what moved so far. Call in the transaction that enables an endpoint while there is no other."""
    reading = _held()
    place = place_now()
    reading.transaction_id, reading.last_id = place.transaction_id, place.id
    reading.save()


def _read_some() -> tuple[int, int]:
    """How many changes were read, and how many messages made of them: both in one transaction."""
    settle_after_a_restore()
    before = Reading.objects.filter(pk=_ONLY).first()
    # Without anything new no lock is taken.
    if before is not None and not changes_behind(found_again(_place(before))).exists():
        return 0, 0
    with transaction.atomic():
        reading = _held()
        changes = list(changes_behind(found_again(_place(reading)))[:BATCH])
        if not changes:
            return 0, 0
        endpoints = list(Endpoint.objects.filter(disabled=""))
        messages = [
            Delivery(
                endpoint=endpoint,
                message_id=new_message_id(),
                change_id=change.pk,
                kind=change.kind,
                change=change.change,
                record=change.record,
                at=change.at,
            )
            for change in changes
            for endpoint in endpoints
            if change.kind in endpoint.kinds and change.at >= endpoint.enabled_at
        ]
        Delivery.objects.bulk_create(messages, batch_size=BATCH)
        reading.transaction_id, reading.last_id = changes[-1].transaction_id, changes[-1].pk
        reading.save()
    return len(changes), len(messages)


def _held() -> Reading:
    Reading.objects.get_or_create(pk=_ONLY)
    return Reading.objects.select_for_update().get(pk=_ONLY)


def _place(reading: Reading) -> Place:
    return Place(reading.transaction_id, reading.last_id)
