"""A campaign: a public appeal to answer one questionnaire until a deadline, and what people wrote but did not send."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.feedback.models.questionnaire import Questionnaire


class ResultsShown(models.TextChoices):
    """Who sees a campaign's results page besides maintainers."""

    ALWAYS = "always", _("Everybody, at any time")
    AFTERWARDS = "afterwards", _("Everybody, once it has ended")
    NEVER = "never", _("Maintainers alone")


class Campaign(models.Model):
    """`version` rises with every change, so that one based on an older one is refused.

    It keeps asking the version of the questionnaire that it was given, so that all its answers can be compared.
    """

    slug = models.SlugField(_("name"), max_length=80, unique=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    title = models.CharField(_("title"), max_length=200)
    summary = models.CharField(_("summary"), max_length=300, blank=True)
    appeal = models.TextField(_("appeal"), blank=True, help_text=_("Markdown: what you ask for, and why."))
    thanks = models.TextField(_("thanks"), blank=True, help_text=_("Markdown: what happens next with the answers."))
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="campaigns")
    opens_at = models.DateTimeField(_("opens"), default=timezone.now)
    closes_at = models.DateTimeField(_("deadline"), null=True, blank=True)
    goal = models.PositiveIntegerField(_("goal"), null=True, blank=True)
    allows_anonymous = models.BooleanField(_("may be answered without an account"), default=True)
    is_once = models.BooleanField(_("one submission per person"), default=True)
    results_shown = models.CharField(
        _("results are shown to"), max_length=12, choices=ResultsShown, default=ResultsShown.ALWAYS
    )
    is_published = models.BooleanField(_("published"), default=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-opens_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(closes_at__isnull=True) | Q(closes_at__gt=F("opens_at")),
                name="campaign_closes_after_opening",
            ),
            models.CheckConstraint(condition=Q(goal__isnull=True) | Q(goal__gt=0), name="campaign_goal_is_positive"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("feedback:campaign", args=[self.slug])

    def is_open(self, at: datetime | None = None) -> bool:
        moment = at or timezone.now()
        return self.is_published and self.opens_at <= moment and not self.has_ended(moment)

    def has_ended(self, at: datetime | None = None) -> bool:
        return self.closes_at is not None and self.closes_at <= (at or timezone.now())

    def change(self, **values: Any) -> bool:
        """Write these columns. False when the campaign was changed since this object was read."""
        mine = Campaign.objects.filter(pk=self.pk, version=self.version)
        if mine.update(version=F("version") + 1, **values) != 1:
            return False
        self.version += 1
        for name, value in values.items():
            setattr(self, name, value)
        return True


class CampaignDraft(models.Model):
    """What somebody has written so far; goes when it is sent."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="drafts")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="campaign_drafts"
    )
    visitor = models.UUIDField(null=True, blank=True, editable=False)
    values = models.JSONField(_("answers so far"), default=dict)
    saved_at = models.DateTimeField(_("saved"), default=timezone.now)

    class Meta:
        verbose_name = _("draft of an answer")
        verbose_name_plural = _("drafts of answers")
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "owner"], condition=Q(owner__isnull=False), name="campaign_draft_one_per_user"
            ),
            models.UniqueConstraint(
                fields=["campaign", "visitor"],
                condition=Q(visitor__isnull=False),
                name="campaign_draft_one_per_visitor",
            ),
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor__isnull=True) | Q(owner__isnull=True, visitor__isnull=False),
                name="campaign_draft_has_one_owner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id} {self.owner_id or self.visitor}"


class ChosenQuote(models.Model):
    """A text answer that maintainers show on the results page; goes with the answer when it is taken back."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="quotes")
    answer = models.OneToOneField("feedback.Answer", on_delete=models.CASCADE, related_name="quote")
    chosen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    chosen_at = models.DateTimeField(_("chosen"), default=timezone.now)

    class Meta:
        verbose_name = _("chosen quote")
        verbose_name_plural = _("chosen quotes")
        ordering = ["chosen_at", "pk"]

    def __str__(self) -> str:
        return str(self.answer_id)
