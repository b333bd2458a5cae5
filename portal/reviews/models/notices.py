"""What contributors are told of theirs, on their page and by mail, and who wants no mail."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import MailState, Outgoing
from portal.feedback.wording import wording
from portal.reviews.models.queue import ReviewItem

GATHER: Final = timedelta(minutes=10)
# Of each part of what a notice is about: enough to know it again.
MOST_CHARACTERS: Final = 80


def after_gathering() -> datetime:
    """What is told within the same minutes comes in one mail."""
    return timezone.now() + GATHER


class Notice(Outgoing):
    """Something a contributor should hear of: the row is what they read, and what mail is sent out of."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="review_notices")
    # What was judged; of a limitation, whose name is in the text, nothing.
    item = models.ForeignKey(
        ReviewItem, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("about")
    )
    text = models.CharField(_("text"), max_length=300)
    url = models.CharField(_("address"), max_length=300)
    created_at = models.DateTimeField(_("written"), default=timezone.now, editable=False)
    read_at = models.DateTimeField(_("read"), null=True, blank=True, editable=False)
    due_at = models.DateTimeField(_("due"), default=after_gathering)

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="notice_of_person"),
            models.Index(fields=["due_at"], condition=Q(state=MailState.QUEUED), name="notice_due"),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def about(self) -> str:
        """Which of their own it tells of, in words; these are not stored, since withdrawing and deleting take them."""
        if self.item is None:
            return ""
        submission, vote = self.item.submission, self.item.vote
        if submission is not None:
            form = submission.questionnaire
            told = [wording(form, "title", form.title), submission.about()[0]]
        elif vote is not None:
            prompt = vote.comparison.generation_a.prompt if vote.comparison is not None else ""
            pair = {"a": vote.variant_a.model_id, "b": vote.variant_b.model_id}
            told = [gettext("%(a)s and %(b)s") % pair, prompt]
        else:
            told = []
        return ": ".join(Truncator(" ".join(each.split())).chars(MOST_CHARACTERS) for each in told if each)


class NoMail(models.Model):
    """Somebody who reads what became of theirs on the page, and wants no mail of it."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="no_review_mail")
    since = models.DateTimeField(_("since"), auto_now_add=True)

    class Meta:
        verbose_name = _("person without mail")
        verbose_name_plural = _("people without mail")

    def __str__(self) -> str:
        return str(self.owner_id)
