"""Reviewers' verdicts, the questions that some of them ask, and the items that measure reviewers."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.reviews.models.queue import ReviewItem
from portal.reviews.settling import Kind, Reason, Verdict


class Superseded(models.TextChoices):
    """Why a verdict no longer counts. It stays readable."""

    UNDONE = "undone", _("Undone by its reviewer")
    EDITED = "edited", _("The contributor changed the submission")
    ANSWERED = "answered", _("The contributor answered")
    REOPENED = "reopened", _("Reopened")
    REVERTED = "reverted", _("Reverted by an operator")


class Review(models.Model):
    """One reviewer's verdict on one item. It is never rewritten: undoing supersedes it."""

    item = models.ForeignKey(ReviewItem, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="reviews_given", db_index=False
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind, default=Kind.INDEPENDENT)
    verdict = models.CharField(_("verdict"), max_length=12, choices=Verdict)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, blank=True)
    duplicate_of = models.ForeignKey(
        ReviewItem, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    # Where the item that its reviewer named repeats `duplicate_of` itself, which they were not told.
    named_duplicate_of = models.ForeignKey(
        ReviewItem, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False, editable=False
    )
    labels = models.JSONField(_("labels"), default=list, blank=True)
    answers = models.JSONField(_("own answers to the questionnaire"), default=dict, blank=True)
    note = models.TextField(_("note"), blank=True)
    submission_version = models.PositiveIntegerField(_("version of the submission"))
    # The claim it was given under, so that sending it twice is one verdict; 0 when it was one of many at once.
    claim_number = models.PositiveIntegerField(default=0, editable=False)
    # What the page counted while it was looked at; None when it did not run a script.
    active_s = models.PositiveIntegerField(_("seconds at work"), null=True, blank=True)
    elapsed_s = models.PositiveIntegerField(_("seconds from claim to verdict"), null=True, blank=True)
    is_bulk = models.BooleanField(_("one of many at once"), default=False)
    created_at = models.DateTimeField(_("given"), default=timezone.now, editable=False)
    superseded_at = models.DateTimeField(_("no longer counts since"), null=True, blank=True, editable=False)
    superseded_by = models.CharField(_("why it no longer counts"), max_length=10, choices=Superseded, blank=True)

    class Meta:
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["item", "reviewer"], condition=Q(superseded_at__isnull=True), name="review_one_live_per_person"
            ),
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(superseded_at__isnull=True, kind=Kind.ADJUDICATION),
                name="review_one_live_adjudication",
            ),
            models.CheckConstraint(
                condition=Q(superseded_at__isnull=True, superseded_by="")
                | Q(~Q(superseded_by=""), superseded_at__isnull=False),
                name="review_superseded_for_a_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["reviewer", "-created_at", "-id"], name="review_of_person"),
            models.Index(fields=["-created_at", "-id"], name="review_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} #{self.item_id}"

    @property
    def is_live(self) -> bool:
        return self.superseded_at is None

    def supersede(self, cause: Superseded) -> bool:
        """It counts no longer. False when it did not before."""
        live = Review.objects.filter(pk=self.pk, superseded_at=None)
        return live.update(superseded_at=timezone.now(), superseded_by=cause) == 1


class Inquiry(models.Model):
    """A question to the contributor; answering it puts the item back into the queue."""

    item = models.ForeignKey(ReviewItem, on_delete=models.CASCADE, related_name="inquiries")
    review = models.OneToOneField(Review, on_delete=models.CASCADE, related_name="inquiry")
    question = models.TextField(_("question"))
    asked_at = models.DateTimeField(_("asked"), default=timezone.now, editable=False)
    answer = models.TextField(_("answer"), blank=True)
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("question to a contributor")
        verbose_name_plural = _("questions to contributors")
        ordering = ["asked_at", "id"]

    def __str__(self) -> str:
        return self.question[:80]


class GoldItem(models.Model):
    """A decided item with a known answer; reviewers meet it unmarked among the others."""

    item = models.OneToOneField(ReviewItem, on_delete=models.CASCADE, related_name="gold")
    verdict = models.CharField(_("right verdict"), max_length=12, choices=Verdict)
    note = models.TextField(_("why"), blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("gold item")
        verbose_name_plural = _("gold items")

    def __str__(self) -> str:
        return f"#{self.item_id}: {self.verdict}"
