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
from portal.catalog.models import AccessState, EventMail, Follow, MailState, ModelCard

logger = logging.getLogger(__name__)

BATCH: Final = 200


def send_due_mails() -> int:
    """Send what is due; say how many mails went out."""
    due = EventMail.objects.filter(state=MailState.QUEUED, due_at__lte=timezone.now())
    sent = 0
    about = ("event__card", "access_request__card", "user")
    for mail in due.select_related(*about).order_by("due_at", "pk")[:BATCH]:
        sent += _send(mail)
    return sent


def _send(mail: EventMail) -> bool:
    if not mail.claim():
        return False
    user = mail.user
    if not (_still_matters(mail) and _card(mail).is_published and user.is_active and user.email):
        mail.drop()
        return False
    try:
        _message(mail).send()
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("The mail server did not take mail %s: %s", mail.pk, error)
        mail.refused()
        return False
    mail.sent()
    return True


def _card(mail: EventMail) -> ModelCard:
    about = mail.event or mail.access_request
    assert about is not None  # mail_about_one_thing
    return about.card


def _still_matters(mail: EventMail) -> bool:
    """Whether the person still follows the card, or the decision about their request still stands."""
    if mail.access_request is not None:
        return mail.access_request.state == mail.decision
    return Follow.objects.filter(card=_card(mail), user=mail.user).exists()


def _message(mail: EventMail) -> EmailMessage:
    return decision_message(mail) if mail.access_request is not None else event_message(mail)


def decision_message(mail: EventMail) -> EmailMessage:
    """What became of somebody's request to run a model; it answers what they asked, so no link ends it."""
    card = _card(mail)
    told = {
        AccessState.GRANTED: _("you may run this model"),
        AccessState.DECLINED: _("your request was declined"),
        AccessState.REVOKED: _("your access was taken back"),
    }[AccessState(mail.decision)]
    address = settings.SITE_URL + reverse("catalog:access", args=[card.owner_name, card.slug])
    context = {"mail": mail, "asked": mail.access_request, "card": card, "told": told, "address": address}
    return EmailMessage(
        subject=_("[Steelyard] %(card)s: %(title)s") % {"card": card.title, "title": told},
        body=render_to_string("catalog/decision_mail.txt", context),
        to=[mail.user.email],
        connection=get_connection(),
    )


def event_message(mail: EventMail) -> EmailMessage:
    """The mail itself, with a link that ends it: in the text, and for mail programs (RFC 8058)."""
    assert mail.event is not None
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
