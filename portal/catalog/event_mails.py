"""Sends the mails that wait, each at most once: a mail is claimed in the database before its server is asked."""

from __future__ import annotations

import logging
import smtplib
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from portal.catalog.following import unsubscribe_token
from portal.catalog.models import EventMail, Follow, MailState

logger = logging.getLogger(__name__)

BATCH: Final = 200


def send_due_mails() -> int:
    """Send what is due; say how many mails went out."""
    due = EventMail.objects.filter(state=MailState.QUEUED, due_at__lte=timezone.now())
    sent = 0
    for mail in due.select_related("event__card", "user").order_by("due_at", "pk")[:BATCH]:
        sent += _send(mail)
    return sent


def _send(mail: EventMail) -> bool:
    if not mail.claim():
        return False
    card, user = mail.event.card, mail.user
    still_follows = Follow.objects.filter(card=card, user=user).exists()
    if not (still_follows and card.is_published and user.is_active and user.email):
        mail.drop()
        return False
    try:
        event_message(mail).send()
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("The mail server did not take mail %s: %s", mail.pk, error)
        mail.refused()
        return False
    mail.sent()
    return True


def event_message(mail: EventMail) -> EmailMessage:
    """The mail itself, with a link that ends it: in the text, and for mail programs (RFC 8058)."""
    card = mail.event.card
    token = unsubscribe_token(card, mail.user)
    leave = settings.SITE_URL + reverse("catalog:unsubscribe", args=[token])
    context = {"mail": mail, "event": mail.event, "card": card, "site": settings.SITE_URL, "leave": leave}
    return EmailMessage(
        subject=_("[Steelyard] %(card)s: %(title)s") % {"card": card.title, "title": mail.event.title[:120]},
        body=render_to_string("catalog/event_mail.txt", context),
        to=[mail.user.email],
        headers={"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        connection=get_connection(),
    )
