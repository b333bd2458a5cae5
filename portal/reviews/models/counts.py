"""Daily counts of what entered and left the queue, kept with every change: no overview counts a million rows."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

# What the overview is broken down by.
FACETS: Final = ("card", "variant", "language", "questionnaire", "campaign")
# Upper edges of the classes of time from entering to the verdict, in hours; the last class has none.
HOURS: Final = (1, 4, 24, 72, 168)


class Flow(models.TextChoices):
    """What is counted: entering, or being decided in one way."""

    ENTERED = "entered", _("Entered")
    ACCEPT = "accept", _("Accepted")
    REJECT = "reject", _("Rejected")
    DUPLICATE = "duplicate", _("Duplicate")
    SPAM = "spam", _("Spam")


class DailyCount(models.Model):
    """How many items of one kind entered, or were decided, on one day (UTC). 0 and "" stand for none."""

    day = models.DateField(_("day"))
    flow = models.CharField(_("what"), max_length=12, choices=Flow)
    card = models.BigIntegerField(_("card"), default=0)
    variant = models.BigIntegerField(_("variant"), default=0)
    language = models.CharField(_("language"), max_length=12, blank=True)
    questionnaire = models.CharField(_("questionnaire"), max_length=80, blank=True)
    campaign = models.CharField(_("campaign"), max_length=40, blank=True)
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    # For decided ones: the index of the class in HOURS; len(HOURS) is beyond all of them.
    hours_class = models.PositiveSmallIntegerField(_("time to the verdict"), default=0)
    count = models.IntegerField(_("count"), default=0)

    class Meta:
        verbose_name = _("daily count")
        verbose_name_plural = _("daily counts")
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "day",
                    "flow",
                    "card",
                    "variant",
                    "language",
                    "questionnaire",
                    "campaign",
                    "reason",
                    "hours_class",
                ],
                name="daily_count_key",
            )
        ]
        indexes = [models.Index(fields=["card", "day"], name="daily_count_of_card")]

    def __str__(self) -> str:
        return f"{self.day} {self.flow}: {self.count}"
