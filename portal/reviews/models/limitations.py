"""Known limitations of models: what accepted reports say together, who else has seen it, and replays elsewhere."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.catalog.models import ModelCard, Variant
from portal.feedback.models import Submission
from portal.playground.models import Generation


class Severity(models.TextChoices):
    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")
    CRITICAL = "critical", _("Critical")


class LimitationState(models.TextChoices):
    OPEN = "open", _("Open")
    CONFIRMED = "confirmed", _("Confirmed")
    MITIGATED = "mitigated", _("Mitigated")
    WONT_FIX = "wont-fix", _("Won't be fixed")


class Limitation(models.Model):
    """Something a model is known to do wrong, on its card for everybody to read."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    card = models.ForeignKey(ModelCard, on_delete=models.CASCADE, related_name="limitations")
    title = models.CharField(_("title"), max_length=160)
    description = models.TextField(_("description"), blank=True, max_length=4_000)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity, default=Severity.MEDIUM)
    state = models.CharField(_("state"), max_length=10, choices=LimitationState, default=LimitationState.OPEN)
    mitigated_in = models.ForeignKey(
        Variant, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("mitigated in")
    )
    version = models.PositiveIntegerField(_("version"), default=1)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("known limitation")
        verbose_name_plural = _("known limitations")
        ordering = ["-changed_at", "-id"]
        indexes = [models.Index(fields=["card", "-changed_at", "-id"], name="limitation_of_card")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("reviews:limitation", args=[self.pk])

    def change(self, expected_version: int, **values: Any) -> bool:
        """Write `values` if nobody wrote since `expected_version`."""
        row = Limitation.objects.filter(pk=self.pk, version=expected_version)
        return row.update(version=expected_version + 1, changed_at=timezone.now(), **values) == 1


class LimitationReport(models.Model):
    """One accepted submission that a limitation was made of. A submission stands for one limitation only."""

    limitation = models.ForeignKey(Limitation, on_delete=models.CASCADE, related_name="reports")
    submission = models.OneToOneField(Submission, on_delete=models.CASCADE, related_name="limitation_report")
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    added_at = models.DateTimeField(_("added"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        ordering = ["added_at", "id"]

    def __str__(self) -> str:
        return str(self.submission_id)


class ReproductionRun(models.Model):
    """A run that shows a limitation: its prompt is what a replay asks again."""

    limitation = models.ForeignKey(Limitation, on_delete=models.CASCADE, related_name="reproductions")
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="+")
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    added_at = models.DateTimeField(_("added"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("reproduction")
        verbose_name_plural = _("reproductions")
        ordering = ["added_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["limitation", "generation"], name="reproduction_once_per_limitation")
        ]

    def __str__(self) -> str:
        return str(self.generation_id)


class MeToo(models.Model):
    """Somebody who saw a limitation too; one per person or browser."""

    limitation = models.ForeignKey(Limitation, on_delete=models.CASCADE, related_name="me_toos")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    visitor = models.UUIDField(_("anonymous visitor"), null=True, blank=True)
    created_at = models.DateTimeField(_("said"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("me too")
        verbose_name_plural = _("me toos")
        constraints = [
            models.UniqueConstraint(
                fields=["limitation", "owner"], condition=Q(owner__isnull=False), name="me_too_once_per_user"
            ),
            models.UniqueConstraint(
                fields=["limitation", "visitor"], condition=Q(visitor__isnull=False), name="me_too_once_per_visitor"
            ),
        ]

    def __str__(self) -> str:
        return str(self.limitation_id)


class Rule(models.TextChoices):
    """By what a replayed answer is told from the one that showed the limitation."""

    EXACT = "exact", _("Its text is another")
    PHRASE = "phrase", _("A phrase is there no longer, or for the first time")
    PERSON = "person", _("A person says so")


class Replay(models.Model):
    """One question to another variant: do you do this too? A batch of ordinary runs of the maintainer who asked."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    limitation = models.ForeignKey(Limitation, on_delete=models.CASCADE, related_name="replays")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="+")
    rule = models.CharField(_("rule"), max_length=10, choices=Rule)
    phrase = models.CharField(_("phrase"), max_length=200, blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(_("asked"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("replay")
        verbose_name_plural = _("replays")
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.limitation} · {self.variant}"


class ReplayRun(models.Model):
    """One reproduction's prompt, asked again. `judged` holds what a person said; the other rules are computed."""

    replay = models.ForeignKey(Replay, on_delete=models.CASCADE, related_name="runs")
    original = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="+")
    generation = models.ForeignKey(Generation, on_delete=models.SET_NULL, null=True, related_name="+")
    problem = models.CharField(_("why it could not be asked"), max_length=300, blank=True)
    # Until then workers ask what had no room; never what was refused for itself.
    tried_until = models.DateTimeField(_("tried again until"), null=True, blank=True)
    judged = models.BooleanField(_("flipped, says a person"), null=True, blank=True)
    judged_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("replayed run")
        verbose_name_plural = _("replayed runs")
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["replay", "original"], name="replay_run_once")]
        indexes = [
            models.Index(fields=["tried_until"], condition=Q(tried_until__isnull=False), name="replay_run_tried_until")
        ]

    def __str__(self) -> str:
        return str(self.generation_id)

    @property
    def is_tried_again(self) -> bool:
        return self.tried_until is not None and self.tried_until > timezone.now()
