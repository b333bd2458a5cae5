"""Mails people what became of theirs: one mail of all that waits for a person, each notice in at most one mail."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from portal.accounts.models import User
from portal.catalog.models import MailState
from portal.reviews.models import NoMail, Notice
from portal.reviews.queries.inquiries import with_what_they_are_about

logger = logging.getLogger(__name__)

BATCH: Final = 500
# The page has them all.
MOST_IN_A_MAIL: Final = 50
NO_MAIL_SALT: Final = "reviews.no_mail"


def send_due_notices() -> int:
    """Send what is due; say how many mails went out."""
    due = Notice.objects.filter(state=MailState.QUEUED, due_at__lte=timezone.now())
    rows = with_what_they_are_about(due).select_related("owner").order_by("owner_id", "pk")[:BATCH]
    return sum(_send(owner, list(notices)) for owner, notices in groupby(rows, key=lambda notice: notice.owner))


def _send(owner: User, notices: list[Notice]) -> bool:
    mine = [notice for notice in notices if notice.claim()]
    unread = [notice for notice in mine if notice.read_at is None]
    if not (unread and owner.is_active and owner.email) or NoMail.objects.filter(owner=owner).exists():
        for notice in mine:
            notice.drop()
        return False
    try:
        notice_message(owner, unread).send()
    except (smtplib.SMTPException, OSError) as error:
        logger.warning("The mail server did not take %s notices of %s: %s", len(mine), owner.pk, error)
        for notice in mine:
            notice.refused()
        return False
    for notice in mine:
        notice.sent()
    return True


def notice_message(owner: User, notices: Sequence[Notice]) -> EmailMessage:
    """The mail itself, with a link that ends such mails: in the text, and for mail programs (RFC 8058)."""
    leave = settings.SITE_URL + reverse("reviews:no_mail", args=[no_mail_token(owner)])
    shown = notices[:MOST_IN_A_MAIL]
    context = {
        "notices": shown,
        "left_out": len(notices) - len(shown),
        "person": owner,
        "site": settings.SITE_URL,
        "page": settings.SITE_URL + reverse("reviews:questions"),
        "leave": leave,
    }
    return EmailMessage(
        subject=ngettext(
            "[Steelyard] What became of what you gave: %(count)d thing",
            "[Steelyard] What became of what you gave: %(count)d things",
            len(notices),
        )
        % {"count": len(notices)},
        body=render_to_string("reviews/notice_mail.txt", context),
        to=[owner.email],
        headers={"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        connection=get_connection(),
    )


def choose_mail(user: User, *, wanted: bool) -> None:
    """Whether notices of theirs come by mail. What waits when somebody refuses is not sent."""
    if wanted:
        NoMail.objects.filter(owner=user).delete()
    else:
        NoMail.objects.get_or_create(owner=user)


def no_mail_token(user: User) -> str:
    """What a mail's link carries: who wants no more of them, and nothing else may be done with it."""
    return signing.dumps(user.pk, salt=NO_MAIL_SALT)


def read_no_mail_token(token: str) -> User | None:
    """Whose link it is; None for one that we did not make, or when the person is gone."""
    try:
        return User.objects.filter(pk=signing.loads(token, salt=NO_MAIL_SALT)).first()
    except signing.BadSignature:
        return None
