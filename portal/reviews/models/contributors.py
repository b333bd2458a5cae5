"""What is known of contributors: how their submissions fared, who is blocked, and what their texts resemble."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.reviews.settling import Verdict

# What everybody starts with: nothing is known, which is neither good nor bad.
PRIOR_GOOD: Final = 2
PRIOR_BAD: Final = 2
# Where each outcome is counted.
COLUMN_OF_OUTCOME: Final = {
    Verdict.ACCEPT: "accepted",
    Verdict.REJECT: "rejected",
    Verdict.DUPLICATE: "duplicates",
    Verdict.SPAM: "spam",
}


class ContributorRecord(models.Model):
    """How one person's (or one anonymous browser's) decided submissions fared."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="contributor_record"
    )
    visitor = models.UUIDField(_("anonymous visitor"), null=True, blank=True, unique=True)
    given = models.PositiveIntegerField(_("given"), default=0)
    accepted = models.IntegerField(_("accepted"), default=0)
    rejected = models.IntegerField(_("rejected"), default=0)
    duplicates = models.IntegerField(_("duplicates"), default=0)
    spam = models.IntegerField(_("spam"), default=0)
    last_given_at = models.DateTimeField(_("last given"), null=True, blank=True)

    class Meta:
        verbose_name = _("contributor")
        verbose_name_plural = _("contributors")
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor__isnull=True) | Q(owner__isnull=True, visitor__isnull=False),
                name="record_of_one_contributor",
            )
        ]

    def __str__(self) -> str:
        return str(self.owner or f"visitor {str(self.visitor)[:8]}")

    @property
    def trust(self) -> float:
        """From 0 to 1; 0.5 without a history. Accepted work raises it, rejected lowers it, spam thrice as much.

        A duplicate says nothing against a person: they saw what somebody else saw too.
        """
        good = PRIOR_GOOD + max(0, self.accepted)
        bad = PRIOR_BAD + max(0, self.rejected) + 3 * max(0, self.spam)
        return good / (good + bad)


def _exactly_one(*columns: str) -> Q:
    """Of the columns, one alone says something; the others are null."""
    cases = Q()
    for said in columns:
        cases |= Q(**{f"{column}__isnull": column != said for column in columns})
    return cases


class Block(models.Model):
    """A contributor or a network that may give nothing more until `until`, or until it is lifted; they are told so."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="blocks"
    )
    visitor = models.UUIDField(_("anonymous visitor"), null=True, blank=True, db_index=True)
    # As submissions and votes keep it: tells that something comes from there, and not where that is.
    network_digest = models.CharField(_("network"), max_length=20, null=True, blank=True, db_index=True)  # noqa: DJ001
    reason = models.CharField(_("reason"), max_length=200)
    until = models.DateTimeField(_("until"), null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(_("since"), default=timezone.now, editable=False)
    lifted_at = models.DateTimeField(_("lifted"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=_exactly_one("owner", "visitor", "network_digest"), name="block_of_one_contributor"
            )
        ]

    def __str__(self) -> str:
        return self.reason

    def lift(self) -> bool:
        """End it. False when it had been lifted."""
        return Block.objects.filter(pk=self.pk, lifted_at=None).update(lifted_at=timezone.now()) == 1


class TextBand(models.Model):
    """One band of an item's MinHash signature; items that share one are candidates for saying the same."""

    item = models.ForeignKey("reviews.ReviewItem", on_delete=models.CASCADE, related_name="text_bands")
    value = models.BigIntegerField()

    class Meta:
        verbose_name = _("text band")
        verbose_name_plural = _("text bands")
        indexes = [models.Index(fields=["value", "item"], name="text_band_value")]

    def __str__(self) -> str:
        return str(self.value)
