"""What the broker wakes for the catalog; the rows say what there is to do."""

from __future__ import annotations

from celery import shared_task

from portal.catalog.mailing import SEND_MAILS, send_all_due


@shared_task(name=SEND_MAILS)
def send_event_mails() -> None:
    send_all_due()
