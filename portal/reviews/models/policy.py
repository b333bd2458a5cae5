"""The rules of entry and of review, in versions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MOST_REVIEWS: Final = 5


_PERCENT: Final = [MinValueValidator(0), MaxValueValidator(100)]


class QueuePolicy(models.Model):
    """One version of the rules by which submissions and votes enter the queue; a change makes the next version."""

    version = models.PositiveIntegerField(_("version"), unique=True)
    is_current = models.BooleanField(_("current"), default=True)
    enter_all = models.BooleanField(_("everything enters"), default=True)
    sample_percent = models.DecimalField(
        _("a sample enters, percent"), max_digits=5, decimal_places=2, default=Decimal(0), validators=_PERCENT
    )
    enter_flagged = models.BooleanField(
        _("what is flagged enters"),
        default=True,
        help_text=_("A bad answer, a report of harm, error or bias, a correction, a void vote, or a sign of abuse."),
    )
    enter_disagreement = models.BooleanField(
        _("disagreement enters"),
        default=True,
        help_text=_("Two people judged the same answer, or two models' answers to one prompt, differently."),
    )
    needed_reviews = models.PositiveSmallIntegerField(
        _("independent reviewers per item"),
        default=2,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_REVIEWS)],
    )
    lease_minutes = models.PositiveSmallIntegerField(
        _("minutes until a claim expires"), default=15, validators=[MinValueValidator(1), MaxValueValidator(1440)]
    )
    gold_percent = models.PositiveSmallIntegerField(
        _("gold items among the claims, percent"),
        default=5,
        validators=_PERCENT,
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("queue rules")
        verbose_name_plural = _("queue rules")
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["is_current"], condition=Q(is_current=True), name="policy_one_current")
        ]

    def __str__(self) -> str:
        return f"v{self.version}"

    @property
    def lease(self) -> timedelta:
        return timedelta(minutes=self.lease_minutes)
